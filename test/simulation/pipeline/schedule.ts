import { seededRandom } from '../../../src/platform/random.ts';
import type { Lane } from '../../../src/storage/lane.ts';

/** The source of all events. */
const SOURCE = '/till';

/** An event that a client sends; `trait` tells what is to become of it. */
export interface PlannedEvent {
  readonly id: string;
  readonly trait: Trait;
  readonly quantity: number;
  readonly sku: string;
  readonly customerId: string;
  /** Milliseconds since the Unix epoch; not in the order of arrival. */
  readonly occurredAt: number;
}

/**
 * `refused` breaks a rule, `unstorable` is refused by the database for its data, `storing-fails` and `folding-fails`
 * meet a defect that is mended only at the end.
 */
export type Trait = 'good' | 'refused' | 'unstorable' | 'storing-fails' | 'folding-fails';

export interface PlannedRequest {
  readonly events: readonly PlannedEvent[];
  /** Whether it asks for its events to be stored before the answer. */
  readonly waits: boolean;
  /** The lane whose queue takes it. */
  readonly lane: Lane;
}

/** How likely each kind of fault is at a step where it may happen. */
export interface FaultRates {
  /** A process ends, before or after what it was about to do. */
  readonly killed: number;
  /** A call is refused, and nothing has happened. */
  readonly refused: number;
  /** A call has happened, and its answer is lost. */
  readonly lost: number;
  /** A message is delivered again although it was acknowledged, or while it is being handled. */
  readonly doubled: number;
  /** The database goes away for a while, for everybody. */
  readonly outage: number;
}

export interface Schedule {
  readonly seed: number;
  readonly requests: readonly PlannedRequest[];
  readonly faults: FaultRates;
  /** After so many faults the world is well. */
  readonly faultsMax: number;
  /** Deliveries that every message has behind it already: an outage of hours in a few steps. */
  readonly attemptsBefore: number;
  /** A message that no consumer understands. */
  readonly garbage: boolean;
  /** Transactions of other applications, each open for a while. */
  readonly openTransactions: number;
  /** Whether an operator builds the features anew at the end: it takes as long as all the rest. */
  readonly rebuilds: boolean;
}

/** The event as a client sends it. */
export function cloudEventOf({ id, trait, quantity, sku, customerId, occurredAt }: PlannedEvent) {
  const data = {
    invoice: trait === 'good' || trait === 'refused' ? id : `${trait}-${id}`,
    sku,
    description: null,
    quantity: trait === 'refused' ? -quantity : quantity,
    unitPrice: 2.5,
    customerId,
    country: 'Norway',
  };
  const time = new Date(occurredAt).toISOString();
  return { specversion: '1.0', id, source: SOURCE, type: 'shop.purchase.v1', time, data };
}

const DAY_MS = 86_400_000;
/** Keys of the customers and products: the first two are in one shard. */
const KEYS = [0, 8, 1];
/** 2026-11-01T00:00:00Z. */
const FIRST_DAY_MS = 1_793_491_200_000;
/**
 * Days from an event to the first three. A run begins on the 21st: the first events are of the last days, the last ones
 * stand at both sides of what is kept for windows of 30, 90 and 365 days.
 */
const DAYS_LATER = [17, 17, 0, 0, -12, -72, -347];

export function scheduleOf(seed: number): Schedule {
  const random = seededRandom(seed);
  const upTo = (count: number) => Math.floor(random() * count);
  const traitOf = (): Trait => {
    const at = random();
    if (at < 0.76) return 'good';
    if (at < 0.82) return 'refused';
    if (at < 0.86) return 'unstorable';
    return at < 0.93 ? 'storing-fails' : 'folding-fails';
  };
  const events = Array.from(
    { length: 8 + upTo(10) },
    (_, index): PlannedEvent => ({
      id: `e${index}`,
      trait: traitOf(),
      quantity: 1 + upTo(9),
      sku: `S${KEYS[upTo(3)]}`,
      customerId: `c${KEYS[upTo(3)]}`,
      occurredAt:
        FIRST_DAY_MS + (upTo(3) + (DAYS_LATER[upTo(DAYS_LATER.length)] ?? 0)) * DAY_MS + upTo(1_000) * 1_000,
    }),
  );
  // Some are said twice, a few of them with something else in them.
  const again = events.filter(() => random() < 0.2);
  const said = [
    ...events,
    ...again.map((event) => (random() < 0.4 ? { ...event, quantity: event.quantity + 10 } : event)),
  ];
  for (let at = said.length - 1; at > 0; at -= 1) {
    const other = upTo(at + 1);
    [said[at], said[other]] = [said[other] as PlannedEvent, said[at] as PlannedEvent];
  }
  const requests: PlannedRequest[] = [];
  while (said.length > 0)
    requests.push({
      events: said.splice(0, 1 + upTo(6)),
      waits: random() < 0.25,
      lane: random() < 0.4 ? 'bulk' : 'live',
    });
  const often = random() < 0.5 ? 0.06 : 0.02;
  return {
    seed,
    requests,
    faults: {
      killed: often,
      refused: often,
      lost: often,
      doubled: random() < 0.5 ? 0.2 : 0.05,
      outage: random() < 0.3 ? 0.02 : 0,
    },
    faultsMax: 30,
    attemptsBefore: random() < 0.2 ? 86 : 0,
    garbage: random() < 0.3,
    openTransactions: upTo(4),
    rebuilds: random() < 0.25,
  };
}
