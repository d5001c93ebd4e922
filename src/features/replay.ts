import type { FeatureDefinition } from '../define/feature.ts';
import type { ClockMoment } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import type { HistoryBounds, HistoryRange } from '../storage/postgres/history.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import { eventsTarget, type Pruned } from '../storage/postgres/retention.ts';
import type { FoldableEvent } from './fold.ts';
import { beginRebuild, buildFrom, flipAll, type RebuildPort } from './rebuild.ts';

/** The most events of one page. A page of small events has some hundred kilobytes, and costs one call per shard. */
export const PAGE_EVENTS_MAX = 2_000;

export interface ReplayStepPorts {
  readonly features: readonly FeatureDefinition[];
  readonly shards: RebuildPort;
  readonly invalidate: (tags: readonly string[]) => Promise<ClockMoment>;
  /** Resolves once the `changes` queue has accepted the events. */
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

/** The scope of a replay, and the most events of one step. */
export interface ReplayPlan {
  readonly isRebuild: boolean;
  readonly range: HistoryRange;
  readonly limit: number;
}

/**
 * Does the next step of a replay: opens it, replays one page, or ends it. Every step is idempotent. A caller that dies
 * in a step leaves nothing half-done, because a page that is replayed twice is folded once.
 */
export async function replayStep(
  replay: Replay,
  { isRebuild, range, limit }: ReplayPlan,
  ports: ReplayStepPorts,
): Promise<void> {
  const { features, shards } = ports;
  switch (replay.state) {
    case 'opening': {
      // Shards are opened before the bounds are read: an event that commits after the bounds is folded live into both sides.
      if (isRebuild) await beginRebuild(features, replay.run, shards);
      const bounds = await ports.bounds(range);
      assertWhole(range, await ports.pruned());
      return await ports.open(replay, bounds);
    }
    case 'open': {
      const events = await ports.history(range, { after: replay.cursor, lastSeq: replay.lastSeq, limit });
      // Checked after reading, so that every deletion before the read is recorded by now.
      assertWhole(range, await ports.pruned());
      if (!isRebuild) await ports.publish(events);
      else if (!(await buildFrom(features, replay.run, events, shards))) throw superseded();
      const isLast = events.length < limit;
      const cursor = events.at(-1)?.seq ?? replay.cursor;
      const state = isLast ? (isRebuild ? 'flipping' : 'done') : 'open';
      return await ports.advance(replay, { cursor, events: events.length, state });
    }
    case 'flipping': {
      const step = await flipAll(features, replay.run, shards, ports.invalidate);
      if (step.state === 'superseded') throw superseded();
      if (step.state === 'flipped') await ports.end(replay, step.outcome);
      return;
    }
    case 'done':
  }
}

/**
 * Rejects a range from which retention has deleted events.
 *
 * @throws Failure `history_pruned`; its detail says from when on history is complete.
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
    `Retention has deleted events of this range (${names}). History is complete after ${newest}; set "from" to a later time.`,
    { pointer: '/from' },
  );
}

function superseded(): Failure {
  return new Failure(
    'replay_superseded',
    'Another rebuild was started, or the features that the deployment declares have changed; the result of this one is discarded. Start it again with "restart".',
  );
}
