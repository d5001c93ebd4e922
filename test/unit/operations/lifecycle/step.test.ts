import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../../scripts/dev/database.ts';
import { type LifecyclePorts, lifecycleStep, PAGES_MAX } from '../../../../src/operations/lifecycle/step.ts';
import { connect } from '../../../../src/storage/postgres/connect.ts';
import { registerVersion, retireVersion } from '../../../../src/storage/postgres/model-versions.ts';
import {
  claimArtifacts,
  claimDatasets,
  claimProfiles,
  dropRemovals,
  endRemovals,
  forgetRemovals,
  releaseArtifacts,
  unfinishedRemovals,
} from '../../../../src/storage/postgres/removals.ts';
import { advanceWalk, endLease, leaseWalk } from '../../../../src/storage/postgres/storage-walk.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';
import { memoryDatabase } from '../../../support/node/memory-database.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 5, 1);
const POLICY = { events: {}, models: 10, datasets: 10, training: 10 };
const sha = (name: string) => name.repeat(64).slice(0, 64);
/** Objects of one page of the bucket here. */
const PAGE = 3;

class Killed extends Error {}

describe('the step of the walk over R2', () => {
  let database: DevDatabase;
  let db: ReturnType<typeof connect>;
  beforeAll(async () => {
    database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    db = connect({ url: database.connectionString, endpoint: database.endpoint });
  });
  afterAll(async () => {
    await database.close();
  });

  let nowMs = START;
  /** Days since each object was written. */
  let bucket: Map<string, number>;
  let made: Map<string, 'unused' | 'used' | 'needed' | 'expired'>;
  let runs: number;
  /** What the copy of a champion's manifest names. */
  let copied: string[];
  let calls: string[];
  /** The call that fails, and whether that is before or after its effect. */
  let fault: { readonly call: number; readonly isAfter: boolean } | undefined;

  beforeEach(async () => {
    nowMs = START;
    [runs, calls, fault, copied] = [2, [], undefined, []];
    bucket = new Map([
      ['artifacts/not-one', 100],
      ...['a', 'b', 'c', 'd'].map((name): [string, number] => [`artifacts/${sha(name)}`, 100]),
      ...['e', 'f'].map((name): [string, number] => [`artifacts/${sha(name)}`, 3]),
      ...['0123456789aa', '0123456789bb'].map((version): [string, number] => [
        `drift/m/${version}.json`,
        100,
      ]),
      ['models/m/champion.json', 100],
      ['unknown', 100],
    ]);
    made = new Map([
      ['one', 'unused'],
      ['two', 'used'],
      ['three', 'needed'],
      ['four', 'unused'],
    ]);
    await db.execute(sql`truncate millrace.removals, millrace.storage_walk, millrace.model_aliases,
      millrace.model_versions, millrace.pruned cascade`);
    const register = async (version: string, graph: string, candidates: string, dataset: string) => {
      const artifacts = { model: { sha256: sha(graph) }, candidates: { sha256: sha(candidates) } };
      const manifest = JSON.stringify({ ...artifacts, trainedFrom: { dataset } });
      await registerVersion(db, { model: 'm', version, manifest, card: '', measured: {} }, 'key:a');
    };
    await register('0123456789aa', 'a', 'b', 'four');
    await register('0123456789bb', 'c', 'b', 'one');
    await retireVersion(db, { model: 'm', version: '0123456789bb' }, 'key:a');
    await db.execute(sql`update millrace.model_versions set retired_at = ${new Date(START - 50 * DAY_MS).toISOString()}
      where version = '0123456789bb'`);
  });

  const ports = (policy: LifecyclePorts['policy'] = POLICY): LifecyclePorts => {
    const days = { models: 10, served: 20 };
    /** An effect that may be lost, or whose answer may be. */
    const called = <In extends unknown[], Out>(name: string, effect: (...of: In) => Promise<Out>) => {
      return async (...of: In): Promise<Out> => {
        calls.push(name);
        const isDue = calls.length === fault?.call;
        if (isDue && fault?.isAfter === false) throw new Killed();
        const out = await effect(...of);
        if (isDue) throw new Killed();
        return out;
      };
    };
    return {
      ...{ now: () => nowMs, policy },
      lease: called('sql', (now) => leaseWalk(db, now)),
      advance: called('sql', (leased, to, now) => advanceWalk(db, leased, to, now)),
      endLease: called('sql', (leased, now) => endLease(db, leased, now)),
      page: called('list', async (after) => {
        const keys = [...bucket.keys()].filter((key) => key > after).sort();
        const objects = keys
          .slice(0, PAGE)
          .map((key) => ({ key, bytes: 5, writtenMs: START - (bucket.get(key) ?? 0) * DAY_MS }));
        return { objects, hasMore: keys.length > PAGE };
      }),
      copied: called('get', async () => [...copied]),
      removeObjects: called('delete', async (keys) => {
        for (const key of keys) bucket.delete(key);
      }),
      claim: {
        artifacts: called('sql', (of, now) => claimArtifacts(db, of, days, now)),
        drift: called('sql', (of, now) => claimProfiles(db, of, now)),
        datasets: called('sql', (of, max, now) => claimDatasets(db, of, max, now)),
      },
      unfinished: called('sql', (max) => unfinishedRemovals(db, max)),
      ended: called('sql', (store, ids, now) => endRemovals(db, store, ids, now)),
      dropped: called('sql', (store, ids) => dropRemovals(db, store, ids)),
      forgetRemovals: called('sql', (now) => forgetRemovals(db, now)),
      datasets: {
        unused: called('object', async () =>
          [...made].flatMap(([id, state]) => (state === 'expired' ? [] : [{ id, detail: {} }])),
        ),
        expire: called('object', async (id) => {
          if (made.get(id) === 'used') return false;
          made.set(id, 'expired');
          return true;
        }),
      },
      training: {
        expire: called('object', async () => {
          const gone = runs;
          runs = 0;
          return Array.from({ length: gone }, () => START - 20 * DAY_MS);
        }),
        needed: called('object', async (ids) => ids.filter((id) => made.get(id) === 'needed')),
        note: async () => undefined,
      },
    };
  };
  /** Takes steps until no walk is due, an hour apart, so that a step that was killed has lost its lease. */
  const walk = async (policy?: LifecyclePorts['policy']) => {
    for (let steps = 0; steps < 8; steps += 1) {
      await lifecycleStep(ports(policy)).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
      nowMs += HOUR_MS;
    }
  };
  const left = () => [...bucket.keys()].sort();
  const PROFILE = 'drift/m/0123456789bb.json';
  const KEPT = [
    ...['a', 'b', 'e', 'f'].map((name) => `artifacts/${sha(name)}`),
    ...['artifacts/not-one', 'drift/m/0123456789aa.json', 'models/m/champion.json', 'unknown'],
  ].sort();

  it('removes what is over its retention and nothing else, and counts what is kept', async () => {
    await walk();
    expect(left()).toEqual(KEPT);
    // `four` is named by a version that has its bytes; `one` is by one that has none, but only since this walk.
    expect(Object.fromEntries(made)).toEqual({ one: 'unused', two: 'used', three: 'needed', four: 'unused' });
    const [walked] = (await db.execute(sql`select counted, walks from millrace.storage_walk`)).rows;
    expect(walked).toMatchObject({
      counted: { artifacts: { objects: 7, bytes: 35 }, drift: { objects: 2 }, other: { objects: 1 } },
    });
    nowMs += 24 * HOUR_MS;
    await walk();
    expect(left()).toEqual(KEPT);
    expect(Object.fromEntries(made)).toEqual({
      one: 'expired',
      two: 'used',
      three: 'needed',
      four: 'unused',
    });
    const { rows } = await db.execute(sql`select target, rows::int from millrace.pruned order by target`);
    expect(rows).toEqual([
      { target: 'artifacts', rows: 2 },
      { target: 'datasets', rows: 1 },
      { target: 'drift', rows: 1 },
    ]);
  });

  it('removes nothing without a declaration, and counts all the same', async () => {
    const before = left();
    await walk({ events: {} });
    expect([left(), runs]).toEqual([before, 2]);
    const { rows } = await db.execute(sql`select counted -> 'artifacts' ->> 'objects' as objects
      from millrace.storage_walk`);
    expect(rows).toEqual([{ objects: '7' }]);
    expect(calls.filter((call) => call === 'delete' || call === 'object')).toEqual([]);
  });

  it('makes a bounded number of calls, and none but one statement while no walk is due', async () => {
    expect(await lifecycleStep(ports())).toBe(false);
    const count = (name: string) => calls.filter((call) => call === name).length;
    expect(count('list')).toBeLessThanOrEqual(PAGES_MAX);
    expect(count('delete')).toBeLessThanOrEqual(2 + 2 * PAGES_MAX);
    expect(count('sql')).toBeLessThanOrEqual(17 + 5 * PAGES_MAX);
    calls.length = 0;
    nowMs += HOUR_MS;
    expect(await lifecycleStep(ports())).toBe(false);
    expect(calls).toEqual(['sql']);
  });

  it('goes on where it was, whatever call is lost, and never leaves a version without its bytes', async () => {
    await walk();
    const total = calls.length;
    expect(total).toBeGreaterThan(20);
    for (let call = 1; call <= total; call += 1) {
      // Each third call: the others are the same in other pages.
      if (call % 3 !== 0) continue;
      for (const isAfter of [false, true]) {
        bucket.set(`artifacts/${sha('c')}`, 100).set(`artifacts/${sha('d')}`, 100);
        bucket.set('drift/m/0123456789bb.json', 100);
        [runs, calls, nowMs] = [2, [], START];
        await db.execute(sql`truncate millrace.removals, millrace.storage_walk`);
        fault = { call, isAfter };
        await walk();
        expect([call, isAfter, left()]).toEqual([call, isAfter, KEPT]);
        expect(await unfinishedRemovals(db, 10)).toEqual([]);
      }
    }
  });

  it('lets a later step of the same walk win over one that was held up', async () => {
    const held = await leaseWalk(db, new Date(nowMs).toISOString());
    expect(await leaseWalk(db, new Date(nowMs).toISOString())).toBeUndefined();
    nowMs += HOUR_MS;
    await walk();
    const to = { cursor: 'a', counts: {}, isOver: false };
    expect(held && (await advanceWalk(db, held, to, new Date(nowMs).toISOString()))).toBe(false);
  });

  it('leaves what the copy of a manifest names, which may be of a version from before the registry', async () => {
    copied = [sha('c'), sha('d')];
    await walk();
    expect(left()).toEqual([...KEPT, ...copied.map((id) => `artifacts/${id}`), PROFILE].sort());
    copied = [];
    nowMs = START + 25 * HOUR_MS;
    await walk();
    expect(left()).toEqual(KEPT);
  });

  it('refuses an upload and a version that need what it is about to delete', async () => {
    const racing = ports();
    const id = sha('d');
    const refused: unknown[] = [];
    await lifecycleStep({
      ...racing,
      removeObjects: async (keys) => {
        if (keys.includes(`artifacts/${id}`)) {
          const manifest = JSON.stringify({ model: { sha256: id } });
          const registered = { model: 'm', version: 'new', manifest, card: '', measured: {} };
          refused.push(await releaseArtifacts(db, [id]));
          refused.push(await registerVersion(db, registered, 'key:a').catch(({ code }) => code));
        }
        await racing.removeObjects(keys);
      },
    });
    expect(refused).toEqual([false, 'model_unavailable']);
    expect(left()).toEqual(KEPT);
  });

  it('leaves a version whose registration came before the claim', async () => {
    const racing = ports();
    const manifest = JSON.stringify({ model: { sha256: sha('d') } });
    await lifecycleStep({
      ...racing,
      claim: {
        ...racing.claim,
        artifacts: async (of, now) => {
          // The page was listed before: its artifact was nobody's.
          const registered = { model: 'm', version: 'new', manifest, card: '', measured: {} };
          await registerVersion(db, registered, 'key:a');
          return await racing.claim.artifacts(of, now);
        },
      },
    });
    expect(left()).toEqual([...KEPT, `artifacts/${sha('d')}`].sort());
  });
});
