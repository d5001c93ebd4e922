import { sql } from 'drizzle-orm';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { beginRebuild, buildFrom, flipAll, type RebuildPort } from '../../../src/features/rebuild.ts';
import { featureTag } from '../../../src/features/shards.ts';
import { catalog } from '../../support/catalog/index.ts';
import type { SimulatedDatabase } from './database.ts';
import type { World } from './world.ts';

const RUN = 'rebuild';
/** Far more than the faults of a schedule: each try ends with one fault at most. */
const TRIES_MAX = 100;
const PAUSE_S = 600;
const CHANGED_KEYS_MAX = 500;

/**
 * Some cells count wrongly, as those that an earlier version of the rules has folded. An operator builds the features
 * anew from history, and begins again where a rebuild dies in between.
 */
export async function rebuildFeatures(world: World, { db }: SimulatedDatabase): Promise<void> {
  for (const { own } of world.shards.values())
    own.storage.sql.exec("update cells set amount = amount + 1 where item = '' and bucket > 0");
  const port = portOf(world);
  const { rows } = await world.machine.whileUnderWay(() =>
    db.execute(sql`
      select seq, type, extract(epoch from occurred_at) * 1000 as occurred_at, data from millrace.events order by seq`),
  );
  const events = rows.map(
    (row): FoldableEvent => ({
      seq: Number(row['seq']),
      type: String(row['type']),
      occurredAt: Math.round(Number(row['occurred_at'])),
      data: row['data'],
    }),
  );
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const isDone = await world.inNewProcess('rebuild', async () => {
      await beginRebuild(catalog.features, RUN, port);
      await buildFrom(catalog.features, RUN, events, port);
      for (;;) {
        const { state } = await flipAll(catalog.features, RUN, port, (tags) => world.invalidate(tags));
        if (state === 'flipped') break;
        if (state === 'superseded') throw new Error('There is no other rebuild.');
      }
    });
    if (isDone) return;
    world.machine.nowS += PAUSE_S;
  }
  throw new Error('The features could not be rebuilt.');
}

function portOf(world: World): RebuildPort {
  const flipped = new Set<string>();
  const corrupt = new Map(
    [...world.shards.keys()].map((shard) => [shard, JSON.stringify(world.cellsOf(shard))]),
  );
  // Readers see all of the old cells of a shard, then all of the new ones, which are judged at the end.
  const look = (shard: string) => {
    if (
      !flipped.has(shard) &&
      corrupt.has(shard) &&
      JSON.stringify(world.cellsOf(shard)) !== corrupt.get(shard)
    )
      world.seen.push(`${shard} serves other cells before its flip.`);
  };
  const call = <T>(shard: string, label: string, work: () => Promise<T>) =>
    world.machine.call('objects', `${label} ${shard}`, async () => {
      look(shard);
      const result = await work();
      look(shard);
      return result;
    });
  return {
    begin: (shard, entity, run) => call(shard, 'begin', () => world.shard(shard).beginRebuild(entity, run)),
    build: (shard, entity, run, events) =>
      call(shard, 'build', () => world.shard(shard).build(shard, entity, run, events)),
    flip: (shard, entity, run) =>
      call(shard, 'flip', async () => {
        const step = await world.shard(shard).flip(entity, run);
        if (step.state !== 'flipped') return step;
        flipped.add(shard);
        // From now on readers of these keys may see the new values: what was made from the old ones is void.
        for (const key of await world.shard(shard).changedKeys(CHANGED_KEYS_MAX))
          world.foldedAt.set(featureTag(entity, key), world.clockSeq);
        return step;
      }),
    changedKeys: (shard, limit) =>
      call(shard, 'list changed keys of', () => world.shard(shard).changedKeys(limit)),
    settle: (shard, keys) => call(shard, 'settle keys of', () => world.shard(shard).settle([...keys])),
    digest: (shard) => call(shard, 'digest', () => world.shard(shard).digest()),
  };
}
