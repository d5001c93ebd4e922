import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { previousVersion } from '../../../src/inference/alias-history.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  changeAlias,
  readAliasHistory,
  readVersion,
  registerVersion,
  retireVersion,
} from '../../../src/storage/postgres/model-versions.ts';
import {
  claimArtifacts,
  claimDatasets,
  claimProfiles,
  endRemovals,
  releaseArtifacts,
  unfinishedRemovals,
} from '../../../src/storage/postgres/removals.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { scratchDatabase } from '../../support/node/scratch-database.ts';

const BY = 'key:a';
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const DAYS = { models: 10, served: 40 };
const at = (daysAgo: number) => new Date(NOW - daysAgo * DAY_MS).toISOString();
const sha = (name: string) => name.repeat(64).slice(0, 64);
const candidate = (id: string) => ({ id, detail: { bytes: 1, at: at(100) } });

describe('what retention may remove of models', () => {
  let database: DevDatabase;
  let db: ReturnType<typeof connect>;
  beforeAll(async () => {
    database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    db = connect({ url: database.connectionString, endpoint: database.endpoint });
  });
  afterAll(async () => {
    await database.close();
  });
  beforeEach(() => clear());

  const clear = () =>
    db.execute(sql`truncate millrace.removals, millrace.model_rollouts, millrace.model_aliases,
      millrace.model_versions, millrace.lineage_predictions, millrace.pruned cascade`);
  const manifestOf = (model: string, candidates?: string, dataset?: string) =>
    JSON.stringify({
      model: { sha256: sha(model), bytes: 1 },
      ...(candidates === undefined ? {} : { candidates: { sha256: sha(candidates), bytes: 1 } }),
      trainedFrom: dataset === undefined ? {} : { dataset },
    });
  const register = (model: string, version: string, manifest: string) =>
    registerVersion(db, { model, version, manifest, card: '', measured: {} }, BY);
  const point = (model: string, alias: string, version: string | null) =>
    changeAlias(
      db,
      { model, alias, version, expected: undefined, reason: 'promote' },
      { principal: BY, tags: [`model:${model}`] },
    );
  const retire = async (model: string, version: string, daysAgo: number) => {
    await retireVersion(db, { model, version }, BY);
    await db.execute(sql`update millrace.model_versions set retired_at = ${at(daysAgo)}
      where model = ${model} and version = ${version} and retired_at is not null`);
  };
  const claim = (...names: string[]) =>
    claimArtifacts(
      db,
      names.map((name) => candidate(sha(name))),
      DAYS,
      at(0),
    );

  it('is what no kept version needs, and an upload that none names', async () => {
    await register('m', 'live', manifestOf('a', 'b'));
    await register('m', 'old', manifestOf('c', 'b'));
    await register('m', 'young', manifestOf('d'));
    await retire('m', 'old', 11);
    await retire('m', 'young', 9);
    // The withdrawn version shares its candidates with one that is not, and nobody names `e`.
    expect((await claim('a', 'b', 'c', 'd', 'e')).sort()).toEqual([sha('c'), sha('e')]);
    expect(await readVersion(db, 'm', 'old')).toMatchObject({ bytesRemovedAt: null });
    await endRemovals(db, 'artifacts', [sha('c'), sha('e')], at(0));
    expect(await readVersion(db, 'm', 'old')).toMatchObject({ bytesRemovedAt: at(0) });
    expect(await readVersion(db, 'm', 'live')).toMatchObject({ bytesRemovedAt: null });
    expect(await unfinishedRemovals(db, 10)).toEqual([]);
    const { rows } = await db.execute(sql`select target, rows from millrace.pruned`);
    expect(rows).toEqual([{ target: 'artifacts', rows: expect.anything() }]);
  });

  it('leaves a version that has answered for as long as its predictions are kept', async () => {
    await register('m', 'served', manifestOf('a'));
    await register('m', 'next', manifestOf('b'));
    await point('m', 'champion', 'served');
    await point('m', 'champion', 'next');
    await retire('m', 'served', 30);
    expect(await claim('a')).toEqual([]);
    await retire('m', 'served', 41);
    await db.execute(sql`insert into millrace.lineage_predictions (id, at, model, version, items, source)
      values (${crypto.randomUUID()}, ${at(1)}, 'm', 'served', 0, 'model')`);
    expect(await claim('a')).toEqual([]);
    await db.execute(sql`truncate millrace.lineage_predictions`);
    expect(await claim('a')).toEqual([sha('a')]);
  });

  it('leaves the version and the base of a rollout that is under way', async () => {
    for (const version of ['base', 'new']) {
      await register('m', version, manifestOf(version));
      await retire('m', version, 500);
    }
    const step = (stage: string) =>
      db.execute(sql`insert into millrace.model_rollouts
        (model, rollout, stage, step, share, version, base, reason, evidence, changed_by)
        values ('m', ${crypto.randomUUID()}, ${stage}, 0, 1, 'new', 'base', 'r', '{}', 'k')`);
    await step('canary');
    expect(await claim('base', 'new')).toEqual([]);
    await step('rolled_back');
    expect((await claim('base', 'new')).length).toBe(2);
  });

  it('is never what a version needs that is registered at the same time, before or after the claim', async () => {
    // The bytes were found in the store, and retention claims them before the version is registered.
    expect(await claim('a')).toEqual([sha('a')]);
    await expect(register('m', 'v', manifestOf('a'))).rejects.toMatchObject({ code: 'model_unavailable' });
    const registered = { model: 'm', version: 'v', manifest: manifestOf('a'), card: '', measured: {} };
    const target = {
      ...{ model: 'm', alias: 'champion', version: 'v', expected: undefined },
      reason: 'publish',
    } as const;
    await expect(
      changeAlias(db, target, { principal: BY, tags: ['model:m'] }, registered),
    ).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(await readVersion(db, 'm', 'v')).toBeUndefined();
    // While the bytes are being deleted nothing can be uploaded; afterwards it can, and then be registered.
    expect(await releaseArtifacts(db, [sha('a')])).toBe(false);
    await endRemovals(db, 'artifacts', [sha('a')], at(0));
    await expect(register('m', 'v', manifestOf('a'))).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(await releaseArtifacts(db, [sha('a')])).toBe(true);
    expect(await register('m', 'v', manifestOf('a'))).toBe(true);
    expect(await claim('a')).toEqual([]);
  });

  it('is a profile without a version, or of one without bytes', async () => {
    await register('m', 'live', manifestOf('a'));
    await register('m', 'old', manifestOf('b'));
    await retire('m', 'old', 11);
    const profiles = ['m/live', 'm/old', 'm/never'].map(candidate);
    expect(await claimProfiles(db, profiles, at(0))).toEqual(['m/never']);
    await claim('b');
    expect((await claimProfiles(db, profiles, at(0))).sort()).toEqual(['m/never', 'm/old']);
  });

  it('is a dataset that no version with bytes names', async () => {
    await register('m', 'live', manifestOf('a', undefined, 'one'));
    await register('m', 'old', manifestOf('b', undefined, 'two'));
    await retire('m', 'old', 11);
    const datasets = ['one', 'two', 'three'].map(candidate);
    expect(await claimDatasets(db, datasets, 10, at(0))).toEqual(['three']);
    await claim('b');
    expect((await claimDatasets(db, datasets, 10, at(0))).sort()).toEqual(['three', 'two']);
    expect(await claimDatasets(db, datasets, 1, at(0))).toHaveLength(1);
  });

  /** A registry that came about by some changes, each as the routes make them. */
  const change = fc.oneof(
    fc.record({
      kind: fc.constant('register' as const),
      ...{ model: fc.constantFrom('m', 'n'), version: fc.constantFrom('1', '2', '3', '4') },
      ...{ graph: fc.constantFrom('a', 'b', 'c'), candidates: fc.constantFrom(undefined, 'd', 'e') },
    }),
    fc.record({
      kind: fc.constant('point' as const),
      ...{ model: fc.constantFrom('m', 'n'), alias: fc.constantFrom('champion', 'challenger') },
      version: fc.constantFrom('1', '2', '3', '4', null),
    }),
    fc.record({
      kind: fc.constant('retire' as const),
      ...{ model: fc.constantFrom('m', 'n'), version: fc.constantFrom('1', '2', '3', '4') },
      daysAgo: fc.integer({ min: 0, max: 60 }),
    }),
    fc.record({ kind: fc.constant('claim' as const) }),
    fc.record({ kind: fc.constant('upload' as const), name: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
  );

  it('is never reachable from what answers, may answer, or has answered of late: any registry', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    let claims = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 4, maxLength: 16 }), async (changes) => {
        await clear();
        const stored = new Set(names.map(sha));
        const versions = new Map<string, { needs: string[]; retired: number | undefined; named: boolean }>();
        for (const one of [...changes, { kind: 'claim' as const }]) {
          if (one.kind === 'register') {
            const { model, version, graph, candidates } = one;
            const needs = [sha(graph), ...(candidates === undefined ? [] : [sha(candidates)])];
            // The check finds all artifacts in the store, or refuses.
            if (!needs.every((id) => stored.has(id))) continue;
            if (await register(model, version, manifestOf(graph, candidates)))
              versions.set(`${model}/${version}`, { needs, retired: undefined, named: false });
          } else if (one.kind === 'point') {
            const known = versions.get(`${one.model}/${one.version}`);
            if ((await point(one.model, one.alias, one.version)) !== null && known !== undefined)
              known.named = true;
          } else if (one.kind === 'retire') {
            const known = versions.get(`${one.model}/${one.version}`);
            await retire(one.model, one.version, one.daysAgo);
            const { retiredAt = null } = (await readVersion(db, one.model, one.version)) ?? {};
            if (known !== undefined && retiredAt !== null) known.retired = one.daysAgo;
          } else if (one.kind === 'upload') {
            if (await releaseArtifacts(db, [sha(one.name)])) stored.add(sha(one.name));
          } else {
            const keeps = ({ retired, named }: { retired: number | undefined; named: boolean }) =>
              retired === undefined || retired <= DAYS.models || (named && retired <= DAYS.served);
            const reachable = new Set([...versions.values()].filter(keeps).flatMap(({ needs }) => needs));
            const claimed = await claim(...names.filter((name) => stored.has(sha(name))));
            expect(claimed.sort()).toEqual([...stored].filter((id) => !reachable.has(id)).sort());
            claims += claimed.length;
            for (const id of claimed) stored.delete(id);
            await endRemovals(db, 'artifacts', claimed, at(0));
          }
        }
        // What an alias names, and what a rollback would name, has its bytes.
        for (const model of ['m', 'n'])
          for (const alias of ['champion', 'challenger']) {
            const history = await readAliasHistory(db, model, alias);
            for (const version of [history.at(-1)?.version, previousVersion(history)])
              for (const id of versions.get(`${model}/${version}`)?.needs ?? []) expect(stored).toContain(id);
          }
      }),
      { numRuns: 20 },
    );
    expect(claims).toBeGreaterThan(5);
  });
});

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];

describe.skipIf(POSTGRES_URL === undefined)('a claim beside a registration, on Postgres', () => {
  it('waits for it, and then leaves what it needs', async () => {
    const { url, endpoint, client, stop } = await postgres(POSTGRES_URL ?? '');
    try {
      const db = connect({ url, endpoint });
      const manifest = JSON.stringify({ model: { sha256: sha('a') } });
      await client.query('begin');
      await client.query(`select pg_advisory_xact_lock_shared(hashtextextended('millrace.artifacts', 0))`);
      await client.query(
        `insert into millrace.model_versions (model, version, manifest, card, measured, registered_by)
         values ('m', 'v', $1, '', '{}', 'k')`,
        [manifest],
      );
      let claimed: string[] | undefined;
      const claiming = claimArtifacts(db, [candidate(sha('a'))], DAYS, at(0)).then((ids) => {
        claimed = ids;
      });
      // The claim waits for the lock, as the server sees it.
      await expect
        .poll(async () => {
          const { rows } = await client.query(`select count(*)::int as n from pg_locks
            where locktype = 'advisory' and not granted
              and database = (select oid from pg_database where datname = current_database())`);
          return rows[0].n;
        })
        .toBe(1);
      expect(claimed).toBeUndefined();
      await client.query('commit');
      await claiming;
      expect(claimed).toEqual([]);
    } finally {
      await stop();
    }
  });
});

async function postgres(serverUrl: string) {
  const scratch = await scratchDatabase(serverUrl, 'removals');
  const database = await startDevDatabase({ databaseUrl: scratch.url, migrationsDir: FIXTURE.migrationsDir });
  const client = new pg.Client({ connectionString: scratch.url });
  await client.connect();
  const stop = async () => {
    await client.end();
    await database.close();
    await scratch.drop();
  };
  return { url: database.connectionString, endpoint: database.endpoint, client, stop };
}
