import { Failure } from '../../platform/failure.ts';
import type { OwnRow, PagesSeen, TablePages } from '../../storage/postgres/erasure-places.ts';
import type { Erasure, ErasureChange, ExaminedEvent } from '../../storage/postgres/erasures.ts';
import { added, Found } from './found.ts';
import type { Named } from './subject.ts';

/**
 * - `events`: examines the history page by page. - `tail`: once more the newest events. - `rows`: rows of tables.
 * - `quarantine`, `predictions`: goes through these tables, a number of their pages at a time. - `served`: goes through the log
 *   of served predictions, and removes what it has been joined to.
 * - `features`: cells of features. - `datasets`: training sets, and the versions that learned. - `outbox`: tags in the outbox.
 * - `rebuilding`: makes the features of other keys without the erased events. It is the last, because it may have to be given
 *   up where retention has deleted events.
 */
export const ERASURE_STATES = [
  'events',
  'tail',
  'rows',
  'quarantine',
  'predictions',
  'served',
  'features',
  'datasets',
  'outbox',
  'rebuilding',
  'done',
] as const;
type ErasureState = (typeof ERASURE_STATES)[number];

/** Events of one page. */
const PAGE_EVENTS = 2_000;
/** How long a caller waits before it asks again for a step that waits for others, in seconds. */
const AGAIN_S = 1;

type NamedEvent = ExaminedEvent & { readonly named: Named };

/** A dataset, as far as it decides whether erased events may be in it. */
interface MadeDataset {
  readonly id: string;
  readonly model: string;
  readonly asOfMs: number;
  readonly begunMs: number;
}

/** The effects of an erasure of one subject. All of them may be repeated. */
export interface ErasurePorts {
  readonly now: () => number;
  readonly events: (page: { after: number; lastSeq: number; limit: number }) => Promise<ExaminedEvent[]>;
  readonly tail: (since: string) => Promise<{ readonly after: number; readonly lastSeq: number }>;
  readonly namedBy: (event: ExaminedEvent) => Named | undefined;
  /** Rows of histories that events have, by table. */
  readonly rowsOf: (seqs: readonly number[]) => Promise<Record<string, number>>;
  /** From now on no shard folds these events: messages of them may be under way. */
  readonly forgetInShards: (events: readonly ExaminedEvent[]) => Promise<void>;
  /** Removes events with their rows, and records the step. */
  readonly eraseEvents: (
    named: { readonly seqs: readonly number[]; readonly tags: readonly string[] },
    to: ErasureChange,
  ) => Promise<void>;
  readonly countOwned: () => Promise<Record<string, number>>;
  /** Removes rows of histories without an event, a bounded number. */
  readonly removeOwned: () => Promise<Record<string, number>>;
  readonly countOwnRow: () => Promise<OwnRow>;
  /** Removes the row of the entity, if there is one, and the times of its removals. */
  readonly removeOwnRow: (own: OwnRow) => Promise<void>;
  readonly quarantine: (pages: TablePages) => Promise<PagesSeen>;
  readonly predictions: (pages: TablePages) => Promise<PagesSeen>;
  /** Lines in the next files of the log of served predictions; `next` is where to go on, null after the last file. */
  readonly served: (files: {
    after: string;
    isRemoving: boolean;
  }) => Promise<{ readonly found: number; readonly next: string | null }>;
  /** How many rows of cells the key has; `isRemoving` removes a bounded number of them and counts these. */
  readonly cells: (isRemoving: boolean) => Promise<{ readonly rows: number; readonly isMore: boolean }>;
  /** Takes one step of the rebuild, or begins it if `run` is null. @returns the rebuild, and whether it is over. */
  readonly rebuild: (run: string | null) => Promise<{ readonly run: string; readonly isOver: boolean }>;
  readonly datasets: () => Promise<readonly MadeDataset[]>;
  /** The types that count for the dataset of a model, in all versions. */
  readonly typesOf: (model: string) => readonly string[];
  readonly removeDataset: (id: string) => Promise<void>;
  readonly learned: (found: Found) => Promise<Found['models']>;
  /** Relays what was committed before the call. */
  readonly relay: () => Promise<void>;
  readonly outbox: (page: {
    after: number;
    isRemoving: boolean;
  }) => Promise<{ readonly named: number; readonly waiting: number; readonly last: number | null }>;
  readonly advance: (to: ErasureChange) => Promise<void>;
}

/** Takes the next step of a search or an erasure. Every step is bounded, and may be repeated after a crash. */
export async function erasureStep(erasure: Erasure, ports: ErasurePorts): Promise<void> {
  const found = Found.parse(erasure.found);
  const isRemoving = erasure.mode === 'erase';
  const { cursor, lastSeq, examined } = erasure;
  const stay = { cursor, lastSeq, examined };
  switch (erasure.state as ErasureState) {
    case 'events':
    case 'tail':
      return await examinePage(erasure, found, ports);
    case 'rows': {
      const more = isRemoving ? await ports.removeOwned() : await ports.countOwned();
      if (isRemoving && Object.keys(more).length > 0)
        return await ports.advance({
          ...stay,
          state: 'rows',
          found: { ...found, rows: added(found.rows, more) },
        });
      const own = await ports.countOwnRow();
      if (isRemoving) await ports.removeOwnRow(own);
      // A search counts rows by their owner, which includes those of its events.
      const rows = isRemoving ? found.rows : more;
      const to = { ...stay, cursor: 0, state: 'quarantine', found: { ...found, ...own, rows } };
      return await ports.advance(to);
    }
    case 'quarantine': {
      const seen = await ports.quarantine({ from: cursor, isRemoving });
      const quarantine = found.quarantine + seen.found;
      const state = seen.next === null ? 'predictions' : 'quarantine';
      const to = { ...stay, cursor: seen.next ?? 0, state, found: { ...found, quarantine } };
      return await ports.advance(to);
    }
    case 'predictions': {
      const seen = await ports.predictions({ from: cursor, isRemoving });
      const predictions = found.predictions + seen.found;
      const mentions = found.mentions + seen.mentions;
      const state = seen.next === null ? 'served' : 'predictions';
      const to = { ...stay, cursor: seen.next ?? 0, state, found: { ...found, predictions, mentions } };
      return await ports.advance(to);
    }
    case 'served': {
      const seen = await ports.served({ after: found.servedAfter, isRemoving });
      const served = found.served + seen.found;
      const state = seen.next === null ? 'features' : 'served';
      const servedAfter = seen.next ?? found.servedAfter;
      return await ports.advance({ ...stay, state, found: { ...found, served, servedAfter } });
    }
    case 'features': {
      const { rows, isMore } = await ports.cells(isRemoving);
      const features = found.features + rows;
      const state = isMore ? 'features' : 'datasets';
      return await ports.advance({ ...stay, state, found: { ...found, features } });
    }
    case 'datasets':
      return await judgeDatasets(erasure, found, ports);
    case 'outbox':
      return await sweepOutbox(erasure, found, ports);
    case 'rebuilding': {
      const { run, isOver } = await ports.rebuild(found.rebuild);
      const to = { ...stay, found: { ...found, rebuild: run } };
      return await ports.advance({ ...to, state: isOver ? 'done' : 'rebuilding' });
    }
    case 'done':
  }
}

async function examinePage(erasure: Erasure, found: Found, ports: ErasurePorts): Promise<void> {
  const { cursor, lastSeq, mode } = erasure;
  const events = await ports.events({ after: cursor, lastSeq, limit: PAGE_EVENTS });
  const named = events.flatMap((event): NamedEvent[] => {
    const by = ports.namedBy(event);
    return by === undefined ? [] : [{ ...event, named: by }];
  });
  const seqs = named.map(({ seq }) => seq);
  const counted = withEvents(found, named, mode === 'erase' ? await ports.rowsOf(seqs) : {});
  const isLast = events.length < PAGE_EVENTS;
  const examined = erasure.examined + (erasure.state === 'tail' ? 0 : events.length);
  const here = { cursor: events.at(-1)?.seq ?? cursor, lastSeq, examined };
  const to = !isLast
    ? { ...here, state: erasure.state, found: counted }
    : erasure.state === 'events' && mode === 'erase'
      ? { ...here, ...(await tailOf(erasure, ports)), state: 'tail', found: counted }
      : {
          ...here,
          cursor: 0,
          state: 'rows',
          found: { ...counted, eventsEndedMs: endedMs(counted, ports.now()) },
        };
  if (mode !== 'erase' || named.length === 0) return await ports.advance(to);
  // The shards first: once an event is gone from the history, no later attempt would find it to tell them.
  await ports.forgetInShards(named);
  await ports.eraseEvents({ seqs, tags: [...new Set(named.flatMap((one) => one.named.tags))] }, to);
}

/** When the events had been removed: that of an earlier erasure, unless this search has found others since. */
function endedMs({ events, eventsEndedMs }: Found, nowMs: number): number {
  return Object.keys(events).length > 0 ? nowMs : (eventsEndedMs ?? nowMs);
}

async function tailOf({ startedAt }: Erasure, { tail }: ErasurePorts) {
  const { after, lastSeq } = await tail(startedAt);
  return { cursor: after, lastSeq };
}

function withEvents(found: Found, named: readonly NamedEvent[], rows: Record<string, number>): Found {
  const [first, last] = [named[0], named.at(-1)];
  if (first === undefined || last === undefined) return found;
  const recorded = named.map(({ recordedAt }) => recordedAt).sort();
  const types = Map.groupBy(named, ({ type }) => type);
  const counts = Object.fromEntries([...types].map(([type, of]) => [type, of.length]));
  const earliest = [found.firstRecordedAt, recorded[0]].filter((at) => at != null).sort();
  return {
    ...found,
    events: added(found.events, counts),
    types: [...new Set([...found.types, ...types.keys()])].sort(),
    rows: added(found.rows, rows),
    byValue: found.byValue + named.filter((one) => one.named.isByValue).length,
    hasFedOthers: found.hasFedOthers || named.some((one) => one.named.hasFedOthers),
    firstSeq: Math.min(found.firstSeq ?? first.seq, first.seq),
    lastSeq: Math.max(found.lastSeq ?? last.seq, last.seq),
    firstRecordedAt: earliest[0] ?? null,
  };
}

/** Whether erased events may be in a dataset: it was begun before they were gone, and their types count for it. */
export function mayHave(
  { model, asOfMs, begunMs }: MadeDataset,
  { firstRecordedAt, eventsEndedMs, types: erased }: Found,
  typesOf: ErasurePorts['typesOf'],
): boolean {
  if (firstRecordedAt === null || asOfMs < Date.parse(firstRecordedAt)) return false;
  const types = typesOf(model);
  // A model that the catalog no longer declares: which types count is not known.
  const isCounted = types.length === 0 || erased.some((type) => types.includes(type));
  return isCounted && begunMs <= (eventsEndedMs ?? Number.POSITIVE_INFINITY);
}

async function judgeDatasets(erasure: Erasure, found: Found, ports: ErasurePorts): Promise<void> {
  const { cursor, lastSeq, examined, mode } = erasure;
  const all = await ports.datasets();
  const holding = all.filter((made) => mayHave(made, found, ports.typesOf)).map(({ id }) => id);
  const datasets = mode === 'erase' ? [...new Set([...found.datasets, ...holding])] : holding;
  const to = { cursor, lastSeq, examined };
  if (mode === 'erase' && holding.length > 0) {
    for (const id of holding) await ports.removeDataset(id);
    // Their files are removed soon after: the next step looks whether they are gone.
    return await ports.advance({ ...to, state: 'datasets', found: { ...found, datasets } });
  }
  const models = await ports.learned(found);
  if (mode === 'erase') await ports.relay();
  return await ports.advance({ ...to, cursor: 0, state: 'outbox', found: { ...found, datasets, models } });
}

/** @throws Failure `relay_unavailable` while a row that names the entity waits for the relay. */
async function sweepOutbox(erasure: Erasure, found: Found, ports: ErasurePorts): Promise<void> {
  const { cursor, lastSeq, examined, mode } = erasure;
  const page = await ports.outbox({ after: cursor, isRemoving: mode === 'erase' });
  if (mode === 'erase' && page.waiting > 0) {
    await ports.relay();
    const detail = 'A change that names the entity is not relayed yet. Repeat the same request to continue.';
    throw new Failure('relay_unavailable', detail, { retryAfterS: AGAIN_S });
  }
  const counted = { ...found, outbox: found.outbox + page.named };
  const isRebuilt = mode === 'erase' && found.hasFedOthers;
  const state = page.last !== null ? 'outbox' : isRebuilt ? 'rebuilding' : 'done';
  await ports.advance({ cursor: page.last ?? cursor, lastSeq, examined, state, found: counted });
}
