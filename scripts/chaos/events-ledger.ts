/** Compares the events that were acknowledged with what became of them. No I/O. */

/** An event that was sent once. */
export interface SentEvent {
  readonly id: string;
  readonly customer: string;
  /** Whether it was answered 202. Of the others nothing is known: they may be stored. */
  readonly isAcknowledged: boolean;
}

/** What there is once everything has settled. */
export interface Settled {
  /** How many rows of the history each event has, by its id. */
  readonly rows: ReadonlyMap<string, number>;
  /** The purchases that the features count, by customer. */
  readonly counted: ReadonlyMap<string, number>;
}

export interface EventFindings {
  /** Acknowledged, and without a row. */
  readonly lost: readonly string[];
  /** With more than one row. */
  readonly doubled: readonly string[];
  /** With a row, and never sent. */
  readonly foreign: readonly string[];
  /** Customers whose features count another number of purchases than they have rows. */
  readonly miscounted: readonly string[];
}

export function compareEvents(sent: readonly SentEvent[], { rows, counted }: Settled): EventFindings {
  const known = new Set(sent.map(({ id }) => id));
  const stored = new Map<string, number>();
  for (const { id, customer } of sent)
    stored.set(customer, (stored.get(customer) ?? 0) + (rows.get(id) ?? 0));
  return {
    lost: sent.filter(({ id, isAcknowledged }) => isAcknowledged && !rows.has(id)).map(({ id }) => id),
    doubled: [...rows].filter(([, count]) => count > 1).map(([id]) => id),
    foreign: [...rows.keys()].filter((id) => !known.has(id)),
    miscounted: [...stored]
      .filter(([customer, count]) => (counted.get(customer) ?? 0) !== count)
      .map(([customer, count]) => `${customer}: ${count} stored, ${counted.get(customer) ?? 0} counted`),
  };
}

/** Whether nothing is missing or counted otherwise; it may be so later. */
export function isSettled({ lost, miscounted }: EventFindings): boolean {
  return lost.length === 0 && miscounted.length === 0;
}
