import { sql } from 'drizzle-orm';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { featureTag } from '../../../src/features/groups.ts';
import { beginRebuild, buildFrom, flipAll, type RebuildPort } from '../../../src/features/rebuild.ts';
import { catalog } from '../../support/catalog/index.ts';
import type { SimulatedDatabase } from './database.ts';
import type { ServedCell, World } from './world.ts';

const RUN = 'rebuild';
/** Far more than the faults of a schedule: each try ends with one fault at most. */
const TRIES_MAX = 100;
const PAUSE_S = 600;

/**
 * Some cells count wrongly, as those that an earlier version of the rules has folded. An operator builds the features
 * anew from history, and begins again where a rebuild dies in between.
 */
export async function rebuildFeatures(world: World, { db }: SimulatedDatabase): Promise<void> {
  for (const { own } of world.shards.values())
    own.storage.sql.exec(
      `update cells set state = (
         select json_group_array(json(json_set(value, '$[1]', (value ->> 1) + 1))) from json_each(state))
       where feature < 0 and bucket > 0`,
    );
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
  const corrupt = new Map([...world.shards.keys()].map((shard) => [shard, world.cellsOf(shard)]));
  // Readers see all of the old cells of a shard, then all of the new ones, which are judged at the end.
  const look = (shard: string) => {
    const differ = differing(corrupt.get(shard) ?? [], world.cellsOf(shard));
    if (!flipped.has(shard) && differ.size > 0)
      world.seen.push(`${shard} serves other cells of ${[...differ].join()} before its flip.`);
  };
  const call = <T>(shard: string, label: string, work: () => Promise<T>) =>
    world.machine.call('objects', `${label} ${shard}`, async () => {
      look(shard);
      const result = await work();
      look(shard);
      return result;
    });
  return {
    layouts: async () => new Map(),
    begin: (shard, entity, run) => call(shard, 'begin', () => world.shard(shard).beginRebuild(entity, run)),
    build: (shard, entity, run, events) =>
      call(shard, 'build', () => world.shard(shard).build(shard, entity, run, events)),
    flip: (shard, entity, run) =>
      call(shard, 'flip', async () => {
        const step = await world.shard(shard).flip(entity, run);
        if (step.state !== 'flipped') return step;
        // From now on readers of these keys may see the new values: what was made from the old ones is void.
        if (!flipped.has(shard))
          for (const key of differing(corrupt.get(shard) ?? [], world.cellsOf(shard)))
            world.foldedAt.set(featureTag(entity, key), world.clockSeq);
        flipped.add(shard);
        return step;
      }),
    changedKeys: (shard, limit) =>
      call(shard, 'list changed keys of', () => world.shard(shard).changedKeys(limit)),
    settle: (shard, keys, at) =>
      call(shard, 'settle keys of', () => world.shard(shard).settle([...keys], at)),
    announced: (shard, announcement, at) =>
      call(shard, 'tell', () => world.shard(shard).announced(announcement, at)),
  };
}

/** The keys of the cells that are not in both lists. */
function differing(a: readonly ServedCell[], b: readonly ServedCell[]): Set<string> {
  const texts = (cells: readonly ServedCell[]) => new Set(cells.map((cell) => JSON.stringify(cell)));
  const [ofA, ofB] = [texts(a), texts(b)];
  const only = [...a, ...b].filter((cell) => ofA.has(JSON.stringify(cell)) !== ofB.has(JSON.stringify(cell)));
  return new Set(only.map(({ name }) => name.split(' ')[1] ?? ''));
}
