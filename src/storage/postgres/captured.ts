import { type SQL, sql } from 'drizzle-orm';
import type { Lane } from '../lane.ts';

/** The setting by which a transaction tells the triggers of `capture.ts` that it writes its own outbox rows. */
export const OWN_WRITE = 'millrace.own_write';

/** The setting by which a transaction puts its changes into the bulk lane; the default of `outbox.is_bulk` reads it. */
export const BULK = 'millrace.bulk';

/** The setting by which a transaction keeps the triggers of `column-history.ts` from recording its changes. */
export const UNRECORDED = 'millrace.unrecorded';

/** A statement of a transaction whose changes features are not told: an erasure, which removes the features itself. */
export function unrecorded(): SQL {
  return sql`select set_config(${sql.raw(`'${UNRECORDED}'`)}, 'on', true)`;
}

/**
 * The first statement of a transaction that writes its own outbox rows, in this lane. The settings end with the
 * transaction and affect no other one.
 */
export function ownWrite(lane: Lane = 'live'): SQL {
  const own = sql`set_config(${sql.raw(`'${OWN_WRITE}'`)}, 'on', true)`;
  return lane === 'live'
    ? sql`select ${own}`
    : sql`select ${own}, set_config(${sql.raw(`'${BULK}'`)}, 'on', true)`;
}
