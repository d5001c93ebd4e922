import * as z from 'zod';

/** What Postgres and RFC 3339 can both write: offsets may shift a time beyond its year. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * A time of a request, RFC 3339. Its output is in UTC with milliseconds, so that one moment has one text: Postgres refuses
 * offsets that RFC 3339 allows, such as `+19:44`.
 */
export const Instant = z.iso
  .datetime({ offset: true })
  .refine((text) => {
    const atMs = Date.parse(text);
    return atMs >= FIRST_MS && atMs <= LAST_MS;
  }, 'The time is outside of the years 1 to 9999 in UTC.')
  // It is called for a text that a check above has refused, too.
  .overwrite((text) => (Number.isNaN(Date.parse(text)) ? text : new Date(text).toISOString()));
