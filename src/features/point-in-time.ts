import type { FeatureDefinition } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import { type Cell, cellsOf, type FoldableEvent, mergedCell } from './fold.ts';
import { readRow } from './read.ts';
import { tilesRead } from './retention.ts';
import { type Slot, slotsOf } from './slots.ts';

/** An event of history, with the moment from which it was known. */
export interface RecordedEvent extends FoldableEvent {
  /** When the database stored it, in milliseconds since the Unix epoch, rounded up. */
  readonly recordedAt: number;
}

/** One question: the features of a key as of a moment. */
export interface AsOfRequest {
  readonly entity: string;
  /** The canonical text of the entity's key. */
  readonly key: string;
  /** The end of the windows, in milliseconds since the Unix epoch. Only events that happened by then count. */
  readonly at: number;
  /** Only events that were stored by then count. Without it, it is `at`: what was known at the moment itself. */
  readonly known?: number | undefined;
  /**
   * Leaves out the events of the moment `at` itself. It is for a row whose label comes from an event of that moment,
   * which must not be among the features. `known`, if it is not given, then ends before `at` as well.
   */
  readonly isBefore?: boolean | undefined;
}

/**
 * The order in which a join takes events.
 * - `happened`: by the time of the event. It is for requests with a fixed `known`.
 * - `visible`: by the time from which an event was both past and known. It is for requests without `known`.
 */
export type JoinOrder = 'happened' | 'visible';

/** The moment of an event in the order of a join. */
export function momentOf({ occurredAt, recordedAt }: RecordedEvent, order: JoinOrder): number {
  return order === 'happened' ? occurredAt : Math.max(occurredAt, recordedAt);
}

/** The order that a request needs. */
export function orderOf({ known }: AsOfRequest): JoinOrder {
  return known === undefined ? 'visible' : 'happened';
}

/** The last moment whose events count for a request. Moments are whole milliseconds. */
export function endOf({ at, isBefore = false }: AsOfRequest): number {
  return isBefore ? at - 1 : at;
}

/** The requests of one key with one `known`, and the cells of the events that they have passed. */
interface Track {
  readonly entity: string;
  readonly known: number;
  /** Indexes of requests, the latest moment first, so that the next one is at the end. */
  readonly pending: number[];
  readonly cells: Map<string, Cell>;
}

/**
 * Joins requests with history in one pass: it takes the events in order, folds those of the requested keys as the
 * online store does, and answers each request once no later event can count for it. It keeps the cells that the pending
 * requests need, so its memory depends on the requests and the windows, and not on the length of history.
 */
export class PointInTimeJoin {
  readonly #features: ReadonlyMap<string, readonly FeatureDefinition[]>;
  readonly #requests: readonly AsOfRequest[];
  readonly #order: JoinOrder;
  readonly #answers: FeatureRow[] = [];
  readonly #tracks = new Map<string, Set<Track>>();
  readonly #slots: ReadonlyMap<string, Slot>;
  #moment = Number.NEGATIVE_INFINITY;
  /** The numbers of the events of the current moment: pages may overlap. */
  readonly #taken = new Set<number>();

  /**
   * @param features of the entities of the requests.
   * @throws RangeError for requests that need another order.
   */
  constructor(
    features: readonly FeatureDefinition[],
    requests: readonly AsOfRequest[],
    order: JoinOrder = 'visible',
  ) {
    if (requests.some((request) => orderOf(request) !== order))
      throw new RangeError(`A join in the order "${order}" takes requests of that order.`);
    this.#features = Map.groupBy(features, ({ entity }) => entity.name);
    this.#requests = requests;
    this.#order = order;
    this.#slots = new Map(
      features.flatMap((definition) =>
        slotsOf(definition).map((slot) => [slotKey(definition.entity.name, slot.name), slot] as const),
      ),
    );
    this.#open();
  }

  /** Whether every request is answered, so that further events change nothing. */
  get isDone(): boolean {
    return this.#tracks.size === 0;
  }

  /** How many cells it holds. */
  get cells(): number {
    const tracks = [...this.#tracks.values()].flatMap((of) => [...of]);
    return tracks.reduce((total, { cells }) => total + cells.size, 0);
  }

  /**
   * Takes the next event. One that was taken before changes nothing.
   *
   * @throws RangeError for an event whose moment is before that of an earlier one, and for an event with a value that a
   *   feature does not take.
   */
  add(event: RecordedEvent): void {
    const moment = momentOf(event, this.#order);
    if (moment < this.#moment)
      throw new RangeError(`Event ${event.seq} is out of order: a join takes events in the order of time.`);
    if (moment > this.#moment) this.#taken.clear();
    this.#moment = moment;
    if (this.#taken.has(event.seq)) return;
    this.#taken.add(event.seq);
    const isWanted = (entity: string, key: string) => this.#tracks.has(trackKey(entity, key));
    // By entity, because features and keys of two entities may have the same names.
    for (const [entity, features] of this.#features) {
      const cells = Map.groupBy(cellsOf(features, event, isWanted), ({ key }) => key);
      for (const [key, own] of cells) this.#fold(trackKey(entity, key), own, event);
    }
  }

  /** Answers what is left, and returns the rows in the order of the requests. */
  finish(): readonly FeatureRow[] {
    for (const tracks of this.#tracks.values())
      for (const track of tracks) this.#answerUntil(track, Number.POSITIVE_INFINITY);
    this.#tracks.clear();
    return this.#answers;
  }

  #open(): void {
    const latestFirst = [...this.#requests.entries()].sort(
      ([, a], [, b]) => endOf(b) - endOf(a) || b.at - a.at,
    );
    const byIdentity = Map.groupBy(latestFirst, ([, { entity, key, known }]) =>
      JSON.stringify([entity, key, known ?? null]),
    );
    for (const of of byIdentity.values()) {
      const [first] = of;
      if (first === undefined) continue;
      const [, { entity, key, known = Number.POSITIVE_INFINITY }] = first;
      const own = this.#tracks.get(trackKey(entity, key)) ?? new Set<Track>();
      own.add({ entity, known, pending: of.map(([index]) => index), cells: new Map() });
      this.#tracks.set(trackKey(entity, key), own);
    }
  }

  #fold(identity: string, cells: readonly Cell[], event: RecordedEvent): void {
    const tracks = this.#tracks.get(identity) ?? new Set<Track>();
    for (const track of tracks) {
      this.#answerUntil(track, this.#moment);
      const next = this.#next(track);
      if (next === undefined) tracks.delete(track);
      else if (event.recordedAt <= track.known) this.#addCells(track, cells, next.at);
    }
    if (tracks.size === 0) this.#tracks.delete(identity);
  }

  /** Answers the requests that end before a moment. */
  #answerUntil(track: Track, moment: number): void {
    for (;;) {
      const next = this.#next(track);
      const index = track.pending.at(-1);
      if (next === undefined || index === undefined || endOf(next) >= moment) return;
      const features = this.#features.get(track.entity) ?? [];
      this.#answers[index] = readRow(features, [...track.cells.values()], next.at);
      track.pending.pop();
      this.#dropExpired(track);
    }
  }

  #next({ pending }: Track): AsOfRequest | undefined {
    const index = pending.at(-1);
    return index === undefined ? undefined : this.#requests[index];
  }

  #addCells({ entity, cells: kept }: Track, cells: readonly Cell[], at: number): void {
    for (const cell of cells) {
      if (this.#isExpired(entity, cell, at)) continue;
      const identity = JSON.stringify([cell.feature, cell.bucket, cell.item]);
      const before = kept.get(identity);
      kept.set(identity, before === undefined ? cell : mergedCell(before, cell));
    }
  }

  #dropExpired(track: Track): void {
    const next = this.#next(track);
    for (const [identity, cell] of track.cells)
      if (next === undefined || this.#isExpired(track.entity, cell, next.at)) track.cells.delete(identity);
  }

  /** Whether a read as of `at`, and so any later one, has no use for a cell. */
  #isExpired(entity: string, { feature, bucket }: Cell, at: number): boolean {
    const slot = this.#slots.get(slotKey(entity, feature));
    return slot === undefined || bucket < tilesRead(slot, at).from;
  }
}

/** The answer to one request from events in any order. */
export function featuresAsOf(
  features: readonly FeatureDefinition[],
  events: readonly RecordedEvent[],
  request: AsOfRequest,
): FeatureRow {
  const order = orderOf(request);
  const join = new PointInTimeJoin(features, [request], order);
  for (const event of events.toSorted((a, b) => momentOf(a, order) - momentOf(b, order))) join.add(event);
  const [row = {}] = join.finish();
  return row;
}

function trackKey(entity: string, key: string): string {
  return `${entity}:${key}`;
}

/** A name of a slot has no colon. */
function slotKey(entity: string, slot: string): string {
  return `${entity}:${slot}`;
}
