import type { FeatureDefinition } from '../define/feature.ts';
import { Failure } from '../platform/failure.ts';
import type { HistoryBounds } from '../storage/postgres/history.ts';
import type { Replay } from '../storage/postgres/replays.ts';
import {
  type BackfillPorts,
  type BackfillShards,
  fillPage,
  isWhole,
  PAGE_EVENTS,
  rangeOf,
  told,
} from './backfill.ts';
import { readyTags } from './groups.ts';
import { type Layouts, SHARDS_PER_ENTITY, shardOf, shardsOf } from './layout.ts';
import { READY } from './open-folds.ts';
import { routeEvents } from './shards.ts';

/** An entity that gets more shards. */
export interface ShardMove {
  readonly entity: string;
  /** The numbers of shards before and after it. */
  readonly from: number;
  readonly to: number;
  readonly replay: Replay;
}

/** The shards as a move uses them. All methods are idempotent. */
export interface MovingShards extends BackfillShards {
  /** From now on a shard takes an event only from a caller who has folded it into the layout of `to` shards before. */
  openMove(shard: string, entity: string, to: number): Promise<void>;
  /** Leaves the keys of a shard to that layout; false if no move to it is open. */
  endMove(shard: string, entity: string, to: number): Promise<boolean>;
}

export interface MovePorts
  extends Pick<
    BackfillPorts,
    'features' | 'invalidate' | 'bounds' | 'history' | 'pruned' | 'now' | 'newId' | 'pageEvents'
  > {
  readonly shards: MovingShards;
  /** Begins the move anew, as another attempt. */
  readonly restart: (move: ShardMove, run: string) => Promise<void>;
  readonly open: (replay: Replay, bounds: HistoryBounds) => Promise<void>;
  readonly advance: (
    replay: Replay,
    page: { cursor: number; events: number; isLast: boolean },
  ) => Promise<void>;
  readonly end: (move: ShardMove) => Promise<void>;
}

/** How many shards the entities have that got more, or get more now. */
export function layoutsOf(moves: readonly ShardMove[]): Layouts {
  return new Map(moves.map(({ entity, from, to, replay }) => [entity, replay.state === 'done' ? to : from]));
}

export interface ShardsOfEntity {
  readonly entity: string;
  readonly shards: number;
  /** How many it is getting, and how many events of history the new ones have of how many; null if it gets no more. */
  readonly building: { readonly shards: number; readonly events: number; readonly total: number } | null;
}

/** How many shards each of these entities has, and gets. */
export function shardStates(entities: readonly string[], moves: readonly ShardMove[]): ShardsOfEntity[] {
  const layouts = layoutsOf(moves);
  return entities.map((entity) => {
    const move = moves.find((one) => one.entity === entity && one.replay.state !== 'done');
    const { replayed = 0, total = 0 } = move?.replay ?? {};
    const building = move === undefined ? null : { shards: move.to, events: replayed, total };
    return { entity, shards: layouts.get(entity) ?? SHARDS_PER_ENTITY, building };
  });
}

/**
 * Does the next step of giving an entity more shards. The new shards are filled from history beside the old ones, which
 * serve meanwhile; then each old shard leaves its keys to them. Every step is idempotent, so a caller that dies in a step
 * leaves nothing half-done.
 *
 * 1. The new shards are opened, then the old ones refuse events that are not folded into the new ones before. So the new
 *    shards never lack what an old one shows.
 * 2. After that the greatest number in history is read. An event that commits later is folded live into both.
 * 3. The pages up to that number are folded into the new shards. Each event is folded once, whichever way it comes.
 * 4. The new shards serve. Nobody reads them yet.
 * 5. Each old shard leaves its keys: from then on it names the new layout to whoever asks. No old shard is asked by a
 *    reader of the same key after that, so no reader sees an older value than another has seen.
 * 6. The tags of all answers of the entity's features are invalidated: the new shards may have events that were stored and
 *    not delivered, which an answer from an old shard lacks.
 *
 * @throws Failure `history_pruned` if retention has deleted events that the features need.
 */
export async function moveStep(move: ShardMove, ports: MovePorts): Promise<void> {
  const { entity, from, to, replay } = move;
  const { shards } = ports;
  const features = ports.features.filter((definition) => definition.entity.name === entity);
  const [old, next] = [shardsOf(entity, from), shardsOf(entity, to)];
  const restart = () => ports.restart(move, ports.newId());
  switch (replay.state) {
    case 'opening': {
      await Promise.all(next.map((shard) => shards.open(shard, entity, replay.run)));
      await Promise.all(old.map((shard) => shards.openMove(shard, entity, to)));
      const bounds = await ports.bounds(rangeOf(features));
      await assertWhole(features, ports);
      return await ports.open(replay, bounds);
    }
    case 'open': {
      const { cursor: after, lastSeq } = replay;
      const { pageEvents: limit = PAGE_EVENTS } = ports;
      const events = await ports.history(rangeOf(features), { after, lastSeq, limit });
      // Checked after reading, so that every deletion before the read is recorded by now.
      await assertWhole(features, ports);
      await fillPage(
        routeEvents(features, events, (_, key) => shardOf(entity, key, to)),
        ports,
      );
      const isLast = events.length < limit;
      return await ports.advance(replay, {
        cursor: events.at(-1)?.seq ?? after,
        events: events.length,
        isLast,
      });
    }
    case 'flipping': {
      const names = features.map(({ name }) => name);
      // False after a release that has changed features since: the pages lack what it would have made of them.
      for (const shard of next)
        if (!(await shards.serve(shard, entity, replay.run, names))) return await restart();
      for (const shard of old) if (!(await shards.endMove(shard, entity, to))) return await restart();
      const at = await ports.invalidate(readyTags(entity, names));
      await told(next.map((shard) => shards.announced(shard, READY, at)));
      return await ports.end(move);
    }
    case 'done':
      return;
  }
}

/** @throws Failure `history_pruned` if retention has deleted events that one of these features needs. */
export async function assertWhole(
  features: readonly FeatureDefinition[],
  { pruned, now }: Pick<MovePorts, 'pruned' | 'now'>,
): Promise<void> {
  const deleted = await pruned();
  const lacking = features.find((definition) => !isWhole(definition, deleted, now()));
  if (lacking === undefined) return;
  throw new Failure(
    'history_pruned',
    `Retention has deleted events that the feature "${lacking.name}" needs, so more shards cannot be filled from history. The shards that there are go on.`,
  );
}
