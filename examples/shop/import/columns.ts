import { ImportError } from './failure.ts';
import { LINE_FIELDS, type LineField } from './line.ts';

/** Where in a row each field is. */
export type Columns = Readonly<Record<LineField, number>>;

/** The names of the columns in Online Retail II and in Online Retail, without case, blanks and signs. */
const FIELD_OF_COLUMN: ReadonlyMap<string, LineField> = new Map([
  ['invoice', 'invoice'],
  ['invoiceno', 'invoice'],
  ['stockcode', 'sku'],
  ['description', 'description'],
  ['quantity', 'quantity'],
  ['invoicedate', 'occurredAt'],
  ['price', 'unitPrice'],
  ['unitprice', 'unitPrice'],
  ['customerid', 'customerId'],
  ['country', 'country'],
]);

const EXPECTED = [
  'Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country',
  'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country',
];

/** Reads the header; columns beside the known ones, such as a row number, are left alone. */
export function detectColumns(header: readonly string[]): Columns {
  const found = new Map<LineField, number>();
  header.forEach((name, index) => {
    const field = FIELD_OF_COLUMN.get(name.toLowerCase().replace(/[^a-z]/g, ''));
    if (field !== undefined && !found.has(field)) found.set(field, index);
  });
  const missing = LINE_FIELDS.filter((field) => !found.has(field));
  if (missing.length > 0) throw unknownHeader(header, missing);
  const at = (field: LineField): number => found.get(field) ?? -1;
  return {
    invoice: at('invoice'),
    sku: at('sku'),
    description: at('description'),
    quantity: at('quantity'),
    occurredAt: at('occurredAt'),
    unitPrice: at('unitPrice'),
    customerId: at('customerId'),
    country: at('country'),
  };
}

function unknownHeader(header: readonly string[], missing: readonly LineField[]): ImportError {
  const shown = header.slice(0, 20).map((name) => JSON.stringify(name.slice(0, 60)));
  return new ImportError(
    [
      'The columns are not those of Online Retail or Online Retail II.',
      `  found:    ${shown.join(', ') || 'nothing'}`,
      `  missing:  ${missing.join(', ')}`,
      ...EXPECTED.map((names) => `  expected: ${names}`),
    ].join('\n'),
  );
}
