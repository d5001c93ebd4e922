/** The purchases that a training reads, as the events of which the worker makes rows. */
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import { purchase as purchaseEvent } from '../catalog/events.ts';
import { ranker } from '../catalog/models.ts';

/** One purchase line. */
export interface Purchase {
  readonly sku: string;
  readonly customer: string;
  readonly quantity: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** The shortest history with a row to learn from: one moment of each split, after the time before the first row. */
export const MIN_HISTORY_DAYS = minHistoryDays();

function minHistoryDays(): number {
  if (ranker.dataset === undefined) throw new Error('The ranker declares no dataset.');
  const { warmUpDays, horizonDays, split } = ranker.dataset;
  return warmUpDays + horizonDays + split.validationDays + split.testDays;
}

/**
 * As events that were known when they happened: a file has no times of storing, and an import stores a history long after.
 * Equal lines in another order give equal events, with equal numbers.
 */
export function eventsOf(purchases: readonly Purchase[]): RecordedEvent[] {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = purchases.toSorted(
    (a, b) =>
      a.at - b.at || compare(a.customer, b.customer) || compare(a.sku, b.sku) || a.quantity - b.quantity,
  );
  return sorted.map(({ sku, customer: customerId, quantity, at }, index) => ({
    ...{ seq: index + 1, type: purchaseEvent.type, occurredAt: at, recordedAt: at },
    // No row depends on the others; the contract asks for them.
    data: {
      invoice: '1',
      sku,
      description: null,
      quantity,
      unitPrice: 1,
      customerId,
      country: 'Unspecified',
    },
  }));
}
