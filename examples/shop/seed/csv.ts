import type { InvoiceLine } from '../import/line.ts';

/** The columns of Online Retail II. */
export const CSV_HEADER = 'Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country';

/** A line as a row of a CSV file that the importer reads back to the same line. */
export function toCsvRow(line: InvoiceLine): string {
  const { invoice, sku, description, quantity, occurredAt, unitPrice, customerId, country } = line;
  const time =
    typeof occurredAt === 'number'
      ? new Date(occurredAt).toISOString().slice(0, 19).replace('T', ' ')
      : occurredAt;
  return [invoice, sku, description ?? '', quantity, time, unitPrice, customerId ?? '', country]
    .map(quoted)
    .join(',');
}

function quoted(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
