import type { FeatureDefinition } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import { NO_TILE } from '../define/feature-window.ts';
import { Failure } from '../platform/failure.ts';
import type { RecordedCursor, RecordedRange } from '../storage/postgres/history.ts';
import type { Pruned } from '../storage/postgres/retention.ts';
import { rowChangesTarget } from '../storage/postgres/row-change-retention.ts';
import {
  type AsOfRequest,
  endOf,
  type JoinOrder,
  momentOf,
  orderOf,
  PointInTimeJoin,
  type RecordedEvent,
} from './point-in-time.ts';
import { assertWhole, PAGE_EVENTS_MAX } from './replay.ts';
import { slotsOf } from './slots.ts';

export interface HistoryPort {
  /** A page of history, by the current versions of the event types. */
  readonly read: (
    range: RecordedRange,
    page: { readonly after: RecordedCursor | null; readonly limit: number },
  ) => Promise<{ readonly events: readonly RecordedEvent[]; readonly next: RecordedCursor | null }>;
  /** What retention has deleted. */
  readonly pruned: () => Promise<readonly Pruned[]>;
}

/** How far a join has come. */
export interface JoinProgress {
  /** The events that were read so far. */
  readonly events: number;
  /** The moment that the join has reached, of those from `from` to `to`, in milliseconds since the Unix epoch. */
  readonly at: number;
  readonly from: number | undefined;
  readonly to: number;
}

/**
 * The features of each request, in the order of the requests. History is read in the order of time and in bounded pages:
 * once for the requests without `known`, and once for those with it.
 *
 * @param features those to compute, of any entities.
 * @param tell is called after each page.
 * @throws Failure `history_pruned` if retention has deleted events that may count.
 */
export async function joinHistory(
  features: readonly FeatureDefinition[],
  requests: readonly AsOfRequest[],
  history: HistoryPort,
  tell: (progress: JoinProgress) => void = () => undefined,
): Promise<FeatureRow[]> {
  const answers: FeatureRow[] = [];
  for (const [order, own] of Map.groupBy(requests.entries(), ([, request]) => orderOf(request))) {
    const asked = own.map(([, request]) => request);
    const needed = features.filter(({ entity }) => asked.some((request) => request.entity === entity.name));
    const rows = await joinInOrder(needed, asked, order, history, tell);
    for (const [at, [index]] of own.entries()) answers[index] = rows[at] ?? {};
  }
  return answers;
}

async function joinInOrder(
  features: readonly FeatureDefinition[],
  requests: readonly AsOfRequest[],
  order: JoinOrder,
  history: HistoryPort,
  tell: (progress: JoinProgress) => void,
): Promise<readonly FeatureRow[]> {
  const steps = joinSteps(features, requests, order, history);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
    tell(step.value.progress);
  }
}

/** A join after a page. */
export interface JoinStep {
  readonly progress: JoinProgress;
  /** Cells that the join holds. Counting them takes time. */
  readonly cells: () => number;
}

/**
 * The join of requests of one order, page by page. It returns the features of each request, in the order of the requests.
 *
 * @throws Failure `history_pruned` if retention has deleted events that may count.
 */
export async function* joinSteps(
  features: readonly FeatureDefinition[],
  requests: readonly AsOfRequest[],
  order: JoinOrder,
  history: HistoryPort,
): AsyncGenerator<JoinStep, readonly FeatureRow[]> {
  if (features.length === 0 || requests.length === 0) return requests.map(() => ({}));
  const join = new PointInTimeJoin(features, requests, order);
  const types = [...new Set(features.map(({ eventType }) => eventType))];
  const from = neededFrom(features, requests);
  const to = maximumOf(requests.map(endOf));
  const known = order === 'visible' ? to : maximumOf(requests.map((request) => request.known ?? to));
  const range = { types, from, to, known };
  const orders = order === 'visible' ? (['recorded', 'early'] as const) : (['happened'] as const);
  const streams = orders.map((of) => pagesOf({ ...range, order: of }, history));
  let events = 0;
  for await (const page of merged(streams, order)) {
    for (const event of page) join.add(event);
    events += page.length;
    const last = page.at(-1);
    if (last !== undefined)
      yield { progress: { events, at: momentOf(last, order), from, to }, cells: () => join.cells };
    if (join.isDone) break;
  }
  // Checked after reading, so that every deletion before the read is recorded by now.
  const pruned = await history.pruned();
  assertWhole({ from: from === undefined ? undefined : new Date(from).toISOString(), types }, pruned);
  assertRowsKnown(features, requests, pruned);
  return join.finish();
}

/**
 * Rejects a moment of which the columns of a row are not known any more: retention keeps the last change before a moment,
 * and those since then.
 *
 * @throws Failure `history_pruned`; its detail says from when on they are known.
 */
function assertRowsKnown(
  features: readonly FeatureDefinition[],
  requests: readonly AsOfRequest[],
  pruned: readonly Pruned[],
): void {
  for (const [eventType, of] of Map.groupBy(features, (definition) => definition.eventType)) {
    const until = pruned.find(({ target }) => target === rowChangesTarget(eventType))?.until;
    const entity = of[0]?.entity.name;
    if (until === undefined || entity === undefined) continue;
    const isUnknown = (request: AsOfRequest) =>
      request.entity === entity &&
      Math.min(endOf(request), request.known ?? endOf(request)) <= Date.parse(until);
    if (!requests.some(isUnknown)) continue;
    throw new Failure(
      'history_pruned',
      `Retention has deleted changes of rows of "${entity}". Their columns are known as of moments after ${until}; ask for later ones, or leave out the features over columns.`,
    );
  }
}

/** The earliest moment whose events may count for one of the requests; undefined if any may. */
export function neededFrom(
  features: readonly FeatureDefinition[],
  requests: readonly AsOfRequest[],
): number | undefined {
  const slots = features.flatMap(slotsOf);
  if (slots.some(({ tileMs }) => tileMs === NO_TILE)) return undefined;
  const longestMs = maximumOf(slots.map(({ tileMs, tiles }) => tileMs * tiles));
  // A window begins with the beginning of a tile, at most its length before the moment.
  return -maximumOf(requests.map(({ at }) => -at)) - longestMs;
}

function maximumOf(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), Number.NEGATIVE_INFINITY);
}

async function* pagesOf(
  range: RecordedRange,
  history: HistoryPort,
): AsyncGenerator<readonly RecordedEvent[]> {
  for (let after: RecordedCursor | null = null; ; ) {
    const { events, next } = await history.read(range, { after, limit: PAGE_EVENTS_MAX });
    if (next === null) return;
    yield events;
    after = next;
  }
}

/** Merges streams of pages, each of which is in order, into pages in order. It holds one page of each stream. */
async function* merged(
  streams: readonly AsyncGenerator<readonly RecordedEvent[]>[],
  order: JoinOrder,
): AsyncGenerator<readonly RecordedEvent[]> {
  const heads: { stream: AsyncGenerator<readonly RecordedEvent[]>; events: readonly RecordedEvent[] }[] = [];
  for (const stream of streams) {
    const { value, done } = await stream.next();
    if (done !== true) heads.push({ stream, events: value });
  }
  while (heads.length > 0) {
    // Everything up to the least of the last moments is in memory.
    const end = -maximumOf(heads.map(({ events }) => -lastMoment(events, order)));
    const ready = heads.flatMap(({ events }) => events.filter((event) => momentOf(event, order) <= end));
    yield ready.sort((a, b) => momentOf(a, order) - momentOf(b, order));
    for (const head of [...heads]) {
      head.events = head.events.filter((event) => momentOf(event, order) > end);
      if (head.events.length > 0) continue;
      const { value, done } = await head.stream.next();
      if (done === true) heads.splice(heads.indexOf(head), 1);
      else head.events = value;
    }
  }
}

function lastMoment(events: readonly RecordedEvent[], order: JoinOrder): number {
  const last = events.at(-1);
  return last === undefined ? Number.NEGATIVE_INFINITY : momentOf(last, order);
}
