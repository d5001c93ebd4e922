import { type SQL, sql } from 'drizzle-orm';
import * as z from 'zod';
import { decodeUtf8 } from '../platform/utf8.ts';
import { exactTextSql, isExactText, type SortColumn } from './sort-column.ts';

/**
 * Cursors. A cursor holds the exact texts of the last row of the previous page, after which the next page begins. The
 * format is stable: `1` and the texts, each with `%` and `,` written as `%25` and `%2C`, joined by commas, as UTF-8 in
 * base64url. A view reads and returns cursors in this form. The gateway signs those of an answer, and removes the
 * signature from those of a request (`src/gateway/cursors.ts`).
 */

/** Longest cursor. It stands in a URL beside other parameters; some proxies refuse URLs above 4,096 characters. */
export const CURSOR_CHARACTERS_MAX = 2_048;

/** Characters of a signature: 128 bits in base64url. */
export const SIGNATURE_CHARACTERS = 22;

const VERSION = '1';
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** As clients receive and send it: the cursor, a full stop and the signature. The OpenAPI document shows this form. */
const SIGNED = {
  format: 'cursor',
  pattern: `^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]{${SIGNATURE_CHARACTERS}}$`,
  maxLength: CURSOR_CHARACTERS_MAX + 1 + SIGNATURE_CHARACTERS,
};

/** The cursor of the next page in the response of a view; null on the last page. The gateway signs it. */
export const NextCursor = z.string().meta({ format: 'cursor' }).nullable();

/** @throws RangeError if the texts are too long for a cursor. */
export function encodeCursor(texts: readonly string[]): string {
  const bytes = new TextEncoder().encode([VERSION, ...texts.map(escaped)].join(','));
  assertLength(Math.ceil((bytes.length * 4) / 3));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** The exact texts of a cursor, or undefined if the cursor is invalid for this order. */
export function decodeCursor(orderBy: readonly SortColumn[], cursor: string): readonly string[] | undefined {
  const [version, ...parts] = (textOf(cursor) ?? '').split(',');
  const texts = parts.map((part) => part.replaceAll('%2C', ',').replaceAll('%25', '%'));
  const isOfOrder =
    version === VERSION &&
    texts.length === orderBy.length &&
    orderBy.every(({ type }, at) => isExactText(type, texts[at] ?? ''));
  // Each position has exactly one valid cursor, so that a page has one cache entry.
  return isOfOrder && encodeCursor(texts) === cursor ? texts : undefined;
}

/** The order whose cursors a schema parses or an expression makes. */
const ORDERS = new WeakMap<object, readonly SortColumn[]>();

/** The order that a schema or an expression of this module is of; undefined for any other. */
export function orderOfCursor(of: object): readonly SortColumn[] | undefined {
  return ORDERS.get(of);
}

/** Parses a query parameter into a cursor, or reports an issue that the gateway answers with status 400. */
export function cursorSchema(orderBy: readonly SortColumn[]): z.ZodType<string, string> {
  const schema = z
    .string()
    .min(1)
    .max(CURSOR_CHARACTERS_MAX)
    .regex(BASE64URL)
    .meta(SIGNED)
    .refine((cursor) => decodeCursor(orderBy, cursor) !== undefined, {
      message: 'The cursor is not of this list. Send `next` of the previous page.',
    });
  ORDERS.set(schema, orderBy);
  return schema;
}

/** The fields of an object that are cursors: `cursor` of a list in a query, `NextCursor` in a response. */
export function cursorsIn({ shape }: z.ZodObject, io: 'input' | 'output'): string[] {
  const fields: readonly (readonly [string, z.ZodType])[] = Object.entries(shape);
  return fields.filter(([, field]) => isCursor(field, io)).map(([name]) => name);
}

/** The cursors in the answers of a view. They are properties of the answer itself, not of what it contains. */
export function answerCursors(response: z.ZodType): string[] {
  return response instanceof z.ZodObject ? cursorsIn(response, 'output') : [];
}

function isCursor(field: z.ZodType, io: 'input' | 'output'): boolean {
  const { format, anyOf = [] } = z.toJSONSchema(field, { io, unrepresentable: 'any' });
  return [{ format }, ...anyOf].some((of) => typeof of === 'object' && of.format === 'cursor');
}

/** The cursor of a row, as an expression of the query that reads it. */
export function cursorSql(orderBy: readonly SortColumn[]): SQL<string> {
  const texts = orderBy.map((column) => {
    const text = exactTextSql(column, sql`${column.column}`);
    return column.type.kind === 'text' ? sql`replace(replace(${text}, '%', '%25'), ',', '%2C')` : text;
  });
  const joined = sql.join(
    [sql.raw(`'${VERSION}'`), ...texts.map((text) => sql`(${text})`)],
    sql` || ',' || `,
  );
  // Postgres breaks base64 into lines of 76 characters.
  const cursor = sql<string>`translate(encode(convert_to(${joined}, 'UTF8'), 'base64'), '+/=' || chr(10), '-_')`;
  ORDERS.set(cursor, orderBy);
  return cursor;
}

/** @throws RangeError for a cursor that is too long for a client to send back. */
function assertLength(characters: number): void {
  if (characters > CURSOR_CHARACTERS_MAX)
    throw new RangeError(
      `A cursor of ${characters} characters is longer than ${CURSOR_CHARACTERS_MAX}: order the list by shorter texts.`,
    );
}

function textOf(cursor: string): string | undefined {
  if (!/^[\w-]*$/.test(cursor) || cursor.length > CURSOR_CHARACTERS_MAX) return undefined;
  try {
    const bytes = Uint8Array.from(atob(cursor.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
      character.charCodeAt(0),
    );
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll(',', '%2C');
}
