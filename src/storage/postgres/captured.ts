import { sql } from 'drizzle-orm';

/** The setting that tells the triggers of `capture.ts` that a transaction writes its own outbox rows. */
export const OWN_WRITE = 'millrace.own_write';

/**
 * To be the first statement of a transaction that writes its own outbox rows. It holds until the transaction ends,
 * and for nobody else.
 */
export function ownWrite() {
  return sql`select set_config(${sql.raw(`'${OWN_WRITE}'`)}, 'on', true)`;
}
