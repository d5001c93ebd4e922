import type { FeatureDefinition } from '../define/feature.ts';
import { Failure } from '../platform/failure.ts';
import type { HistoryBounds, HistoryRange } from '../storage/postgres/history.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import { eventsTarget, type Pruned } from '../storage/postgres/retention.ts';
import type { FoldableEvent } from './fold.ts';
import { beginRebuild, buildFrom, flipAll, type RebuildPort } from './rebuild.ts';

/** Events of one page at most: with those of a shop they are some hundred kilobytes, and one call a shard. */
export const PAGE_EVENTS_MAX = 2_000;

export interface ReplayStepPorts {
  readonly features: readonly FeatureDefinition[];
  readonly shards: RebuildPort;
  readonly invalidate: (tags: readonly string[]) => Promise<unknown>;
  /** Returns once the `changes` queue has taken them. */
  readonly publish: (events: readonly FoldableEvent[]) => Promise<void>;
  readonly bounds: (range: HistoryRange) => Promise<HistoryBounds>;
  readonly history: (
    range: HistoryRange,
    page: { after: number; lastSeq: number; limit: number },
  ) => Promise<readonly FoldableEvent[]>;
  readonly pruned: () => Promise<readonly Pruned[]>;
  readonly open: (replay: Replay, bounds: HistoryBounds) => Promise<void>;
  readonly advance: (
    replay: Replay,
    page: { cursor: number; events: number; state: 'open' | 'flipping' | 'done' },
  ) => Promise<void>;
  readonly end: (replay: Replay, outcome: unknown) => Promise<void>;
}

/** What a replay goes through, and how many events one step may take. */
export interface ReplayPlan {
  readonly isRebuild: boolean;
  readonly range: HistoryRange;
  readonly limit: number;
}

/**
 * The next step of a replay: it is opened, or goes on by one page, or is ended. Each step may be repeated, so whoever
 * dies in one leaves nothing half-done: a page that is done twice is folded once.
 */
export async function replayStep(
  replay: Replay,
  { isRebuild, range, limit }: ReplayPlan,
  ports: ReplayStepPorts,
): Promise<void> {
  const { features, shards } = ports;
  switch (replay.state) {
    case 'opening': {
      // The order matters: what is committed and not in these bounds is folded later than the shards were opened.
      if (isRebuild) await beginRebuild(features, replay.run, shards);
      const bounds = await ports.bounds(range);
      assertWhole(range, await ports.pruned());
      return await ports.open(replay, bounds);
    }
    case 'open': {
      const events = await ports.history(range, { after: replay.cursor, lastSeq: replay.lastSeq, limit });
      // Asked after reading: what was deleted before is noted by then.
      assertWhole(range, await ports.pruned());
      if (!isRebuild) await ports.publish(events);
      else if (!(await buildFrom(features, replay.run, events, shards))) throw superseded();
      const isLast = events.length < limit;
      const cursor = events.at(-1)?.seq ?? replay.cursor;
      const state = isLast ? (isRebuild ? 'flipping' : 'done') : 'open';
      return await ports.advance(replay, { cursor, events: events.length, state });
    }
    case 'flipping': {
      const outcome = await flipAll(features, replay.run, shards, ports.invalidate);
      if (outcome === undefined) throw superseded();
      return await ports.end(replay, outcome);
    }
    case 'done':
  }
}

/**
 * Refuses a range of which retention has deleted something.
 *
 * @throws Failure `history_pruned`, which says from when on history is whole.
 */
export function assertWhole({ from, types }: HistoryRange, pruned: readonly Pruned[]): void {
  const wanted = types === undefined ? undefined : new Set(types.map(eventsTarget));
  const gone = pruned
    .filter(({ target }) => (wanted === undefined ? target.startsWith('events:') : wanted.has(target)))
    .filter(({ until }) => from === undefined || Date.parse(from) <= Date.parse(until));
  if (gone.length === 0) return;
  const newest = gone
    .map(({ until }) => until)
    .sort()
    .at(-1);
  const names = gone.map(({ target, rows }) => `${rows} of ${target.slice('events:'.length)}`).join(', ');
  throw new Failure(
    'history_pruned',
    `Retention has deleted events that this needs (${names}). History is whole after ${newest}.`,
    { pointer: '/from' },
  );
}

function superseded(): Failure {
  return new Failure('replay_superseded', 'Another rebuild was begun; what this one built is discarded.');
}
