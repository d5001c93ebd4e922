/**
 * One line of an invoice, whatever it was read from.
 *
 * A number or a time that could not be read stays the text it was in the file, so that the server judges it.
 */
export interface InvoiceLine {
  readonly invoice: string;
  readonly sku: string;
  readonly description: string | null;
  /** Pieces, negative on lines of a cancelled invoice. */
  readonly quantity: number | string;
  /** Milliseconds since the Unix epoch. */
  readonly occurredAt: number | string;
  /** In the shop's currency. */
  readonly unitPrice: number | string;
  readonly customerId: string | null;
  readonly country: string;
}

/** The fields of a line as text, before any of them is interpreted. */
export type RawLine = Readonly<Record<LineField, string>>;

export const LINE_FIELDS = [
  'invoice',
  'sku',
  'description',
  'quantity',
  'occurredAt',
  'unitPrice',
  'customerId',
  'country',
] as const;
export type LineField = (typeof LINE_FIELDS)[number];

const DECIMAL = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;
const ISO_LOCAL = /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.0+)?)?Z?$/;
const MONTH_FIRST = /^(\d{1,2})\/(\d{1,2})\/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const WHOLE_NUMBER_WITH_FRACTION = /^(\d+)\.0+$/;

/** Interprets the text of a line's fields. It never fails: see {@link InvoiceLine}. */
export function parseLine(raw: RawLine): InvoiceLine {
  const customer = raw.customerId.trim();
  return {
    invoice: raw.invoice.trim(),
    sku: raw.sku.trim(),
    description: raw.description.trim() || null,
    quantity: parseNumber(raw.quantity),
    occurredAt: parseTime(raw.occurredAt),
    unitPrice: parseNumber(raw.unitPrice),
    // Tables that went through a floating-point column hold `13085.0`.
    customerId: (WHOLE_NUMBER_WITH_FRACTION.exec(customer)?.[1] ?? customer) || null,
    country: raw.country.trim(),
  };
}

/** The number in a text, or the text itself. Minus zero becomes zero: both are the same number in JSON. */
export function parseNumber(text: string): number | string {
  const trimmed = text.trim();
  const value = DECIMAL.test(trimmed) ? Number(trimmed) : Number.NaN;
  return Number.isFinite(value) ? value + 0 : text;
}

/**
 * The time in a text, in milliseconds since the Unix epoch, or the text itself. Both editions write local time
 * without a zone; it is taken for UTC.
 */
export function parseTime(text: string): number | string {
  const trimmed = text.trim();
  const iso = ISO_LOCAL.exec(trimmed);
  if (iso !== null) return utc(iso[1], iso[2], iso[3], iso[4], iso[5], iso[6]) ?? text;
  const monthFirst = MONTH_FIRST.exec(trimmed);
  if (monthFirst === null) return text;
  const [, month, day, year, hour, minute, second] = monthFirst;
  return utc(year, month, day, hour, minute, second) ?? text;
}

/** The instant that the parts name, or null if there is no such day or hour: `Date.UTC` would carry over. */
function utc(...parts: (string | undefined)[]): number | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map((part) =>
    Number(part ?? 0),
  );
  const instant = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(instant);
  const exists =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return exists ? instant : null;
}
