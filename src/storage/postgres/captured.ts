import { sql } from 'drizzle-orm';

/** The setting by which a transaction tells the triggers of `capture.ts` that it writes its own outbox rows. */
export const OWN_WRITE = 'millrace.own_write';

/**
 * The first statement of a transaction that writes its own outbox rows. The setting ends with the transaction and
 * affects no other one.
 */
export function ownWrite() {
  return sql`select set_config(${sql.raw(`'${OWN_WRITE}'`)}, 'on', true)`;
}
