import { type SQL, sql } from 'drizzle-orm';
import * as millrace from './schema.ts';

/** The text that all digests of erasures begin with. */
export const SALT = sql`(select salt from ${millrace.erasureSalt})`;

/** The digest of an event's source and id, as `erased_events` has it. */
export function eventDigest(source: SQL, id: SQL): SQL {
  return sql`encode(sha256(convert_to(${SALT} || ${source} || E'\\n' || ${id}, 'UTF8')), 'hex')`;
}

/** Whether a row `r` with `source` and `id` is an erased event. While none is, it costs one look at the table. */
export const IS_ERASED = sql`case when (select exists (select from ${millrace.erasedEvents}))
  then exists (select from ${millrace.erasedEvents} x where x.digest = ${eventDigest(sql`r.source`, sql`r.id`)})
  else false end`;
