import { readFileSync } from 'node:fs';
import { Instant } from '../../src/platform/instant.ts';
import { UsageError } from './options.ts';
import { describeError } from './run.ts';

const PORT_MAX = 65_535;

/** The text of a file. @throws UsageError where it cannot be read. */
export function textOfFile(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${option} names ${file}, which cannot be read: ${describeError(error)}.`);
  }
}

/** @throws UsageError where the text is no TCP port. */
export function portOf(option: string, text: string): number {
  return wholeNumberOf(option, text, { min: 1, max: PORT_MAX });
}

/** @throws UsageError where the text is no whole number of the range. */
export function wholeNumberOf(
  option: string,
  text: string,
  { min, max = Number.MAX_SAFE_INTEGER }: { readonly min: number; readonly max?: number },
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UsageError(`${option} takes a whole number ${range}, not "${text}".`);
}

/**
 * The address of a worker, without a slash at its end.
 *
 * @throws UsageError where it is none.
 */
export function workerUrlOf(option: string, text: string): string {
  const url = URL.parse(text);
  const isAddress = url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '';
  if (isAddress && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '')
    return url.origin;
  if (isAddress)
    throw new UsageError(
      `${option} takes the worker's address without a path, such as ${url.origin}, not "${text}".`,
    );
  const guess =
    /^[\w.-]+(:\d+)?\/?$/.test(text) && URL.canParse(`http://${text}`) ? `http://${text}` : undefined;
  throw new UsageError(
    `${option} takes the worker's address, such as ${guess ?? 'http://127.0.0.1:8787'}, not "${text}".`,
  );
}

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration such as `30m`, `2h` or `1d`, in milliseconds; undefined for another text. */
export function durationMs(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,4})([mhd])$/.exec(text) ?? [];
  const of = UNITS_MS[unit];
  return of === undefined ? undefined : Number(count) * of;
}

/**
 * A moment as the worker takes it. A day is its midnight in UTC.
 *
 * @throws UsageError where the text is no moment of RFC 3339 and no day.
 */
export function momentOf(option: string, text: string): string {
  const moment = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text.toUpperCase();
  if (Instant.safeParse(moment).success) return moment;
  throw new UsageError(`${option} takes a moment as 2026-05-31T09:00:00Z (RFC 3339), not "${text}".`);
}

const DATABASE_URL_FORM = 'postgres://user:password@host/database';

/**
 * The Postgres that DATABASE_URL, or an option, names. Its value is not repeated in messages: it holds a password.
 *
 * @throws UsageError where it is set, and no address of a Postgres.
 */
export function databaseUrlOf(text: string | undefined, name = 'DATABASE_URL'): string | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const url = URL.parse(text);
  if (url === null) throw new UsageError(`${name} is not a URL. It is written ${DATABASE_URL_FORM}.`);
  if (!/^postgres(ql)?:$/.test(url.protocol))
    throw new UsageError(
      `${name} begins with "${url.protocol}//" and so names no Postgres. It is written ${DATABASE_URL_FORM}.`,
    );
  if (url.hostname === '') throw new UsageError(`${name} names no host. It is written ${DATABASE_URL_FORM}.`);
  if (url.pathname.length <= 1)
    throw new UsageError(`${name} names no database. It is written ${DATABASE_URL_FORM}.`);
  return text;
}

/** @throws UsageError where DATABASE_URL is not set, or no address of a Postgres. */
export function requiredDatabaseUrl(text: string | undefined): string {
  const url = databaseUrlOf(text);
  if (url === undefined)
    throw new UsageError(`DATABASE_URL is not set. It names the database, as ${DATABASE_URL_FORM}.`);
  return url;
}

/** A database as messages name it: without user and password. */
export function withoutCredentials(databaseUrl: string): string {
  const url = URL.parse(databaseUrl);
  return url === null ? 'the database of DATABASE_URL' : `${url.host}${url.pathname}`;
}
