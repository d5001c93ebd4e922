import { routeEvents } from '../../../../src/features/shards.ts';
import { judge } from '../../../../src/pipeline/judge.ts';
import type { StorableEvent } from '../../../../src/storage/postgres/event-store.ts';
import { catalog } from '../../catalog/index.ts';
import { LineIdentity, toCloudEvent } from '../../import/event.ts';
import { generateLines } from '../../seed/generator.ts';

const LINES = 30_000;
const UNTIL = new Date('2026-11-01T00:00:00Z');

/** What becomes of the events that were sent. */
export interface Expected {
  readonly stored: number;
  readonly folded: number;
}

/**
 * A made-up shop's lines as events without end: the same shop again and again, each time as another edition with
 * sources and invoices of its own. Lines that a blocking rule refuses are left out, so that all are stored.
 */
export class Purchases {
  readonly #lines: ReturnType<typeof toCloudEvent>[];
  readonly #foldedBefore: readonly number[];
  #at = 0;

  constructor() {
    const identity = new LineIdentity();
    const lines = generateLines({ seed: 1, customers: 4_500, lines: LINES, until: UNTIL });
    this.#lines = [...lines]
      .map((line) => toCloudEvent(line, { source: '/bench', id: identity.idOf(line) }))
      .filter((event) => judge(catalog.eventTypes, event, UNTIL.getTime()).verdict === 'accepted');
    let folded = 0;
    this.#foldedBefore = [0, ...this.#lines.map((event) => (folded += foldsOf(event)))];
  }

  /** The next `count` events. */
  next(count: number): ReturnType<typeof toCloudEvent>[] {
    return Array.from({ length: count }, () => {
      const edition = Math.floor(this.#at / this.#lines.length);
      const event = this.#lines[this.#at % this.#lines.length];
      this.#at += 1;
      if (event === undefined) throw new Error('The shop has sold nothing.');
      const data = { ...event.data, invoice: `${event.data.invoice}-${edition}` };
      return { ...event, source: `/bench/${edition}`, data };
    });
  }

  /** What has to be there once everything that was taken so far has arrived. */
  get expected(): Expected {
    const [editions, rest] = [Math.floor(this.#at / this.#lines.length), this.#at % this.#lines.length];
    const folded = (this.#foldedBefore.at(-1) ?? 0) * editions + (this.#foldedBefore[rest] ?? 0);
    return { stored: this.#at, folded };
  }
}

/** How many shards an event is folded into. */
function foldsOf({ type, time, data }: ReturnType<typeof toCloudEvent>): number {
  return routeEvents(catalog.features, [{ seq: 1, type, occurredAt: Date.parse(time), data }]).size;
}

/** What the consumer makes of an event before it is stored. */
export function storable(event: ReturnType<typeof toCloudEvent>): StorableEvent {
  const judged = judge(catalog.eventTypes, event, UNTIL.getTime());
  if (judged.verdict !== 'accepted') throw new Error('A line that was left out came back.');
  const meaning = catalog.eventTypes
    .get(event.type)
    ?.interpret(judged.event.data, { occurredAt: Date.parse(event.time), now: UNTIL.getTime() });
  if (!meaning?.ok) throw new Error('An accepted event has no meaning.');
  return { ...judged.event, effects: meaning.effects, tags: meaning.tags };
}
