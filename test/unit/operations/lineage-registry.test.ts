import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import type { LineageContext } from '../../../src/operations/lineage/context.ts';
import { datasetsOf } from '../../../src/operations/lineage/datasets.ts';
import { walk } from '../../../src/operations/lineage/graph.ts';
import { neighboursOf } from '../../../src/operations/lineage/neighbours.ts';
import { findRoot, type RootName } from '../../../src/operations/lineage/root.ts';
import { runEventOf } from '../../../src/operations/lineage/run-events.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { readLineageEvents } from '../../../src/storage/postgres/lineage-read.ts';
import { recordLineage } from '../../../src/storage/postgres/lineage-runs.ts';
import { moveRollout } from '../../../src/storage/postgres/model-rollouts.ts';
import {
  type AliasTarget,
  changeAlias,
  registerVersion,
  retireVersion,
} from '../../../src/storage/postgres/model-versions.ts';
import { catalog } from '../../support/catalog/index.ts';
import { expectedSpend } from '../../support/catalog/models.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const BY = 'key:a';
const MODEL = expectedSpend.name;
const [FIRST, SECOND] = ['0000000000aa', '0000000000bb'];

let database: DevDatabase;
let db: ReturnType<typeof connect>;
let lineage: LineageContext;

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const datasets = datasetsOf(catalog, database.connectionString);
  lineage = { db, catalog, datasets, limit: 10, now: Date.now(), champion: async () => undefined };
  for (const version of [FIRST, SECOND])
    await registerVersion(db, { model: MODEL, version, manifest: '{}', card: '', measured: {} }, BY);
});
afterAll(async () => {
  await database.close();
});

const point = (version: string | null, reason: AliasTarget['reason'], expected?: string | null) =>
  changeAlias(
    db,
    { model: MODEL, alias: 'champion', version, expected, reason },
    { principal: BY, tags: [`model:${MODEL}`] },
  );

async function upFrom(name: RootName, direction: 'up' | 'down' = 'up') {
  const root = await findRoot(name, lineage);
  if (root === undefined) throw new Error(`There is no ${name.kind} ${name.id}.`);
  const { nodes, edges } = await walk(root, [direction], 4, neighboursOf(lineage));
  const change = new Map(nodes.map(({ id, attributes }) => [id, attributes['change']]));
  return edges.map(({ from, to, relation }) => ({
    from: change.get(from) ?? from,
    to: change.get(to) ?? to,
    relation,
  }));
}

it('leads from a prediction to its version, and to the changes that let that version answer', async () => {
  await point(FIRST, 'publish');
  await point(SECOND, 'promote');
  const id = crypto.randomUUID();
  const { rows } = await db.execute(
    sql`select to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at`,
  );
  const at = String(rows[0]?.['at']);
  const predicted = { model: MODEL, version: SECOND, entity: 'customer', key: 'c1', features: {} };
  await recordLineage(db, [], [{ id, at, ...predicted, items: 1, source: 'model', degraded: null }], 0);
  // What happened after the prediction is no part of what it was made of.
  await db.execute(sql`update millrace.lineage_predictions set at = now() where id = ${id}`);
  await point(FIRST, 'rollback');
  await point(SECOND, 'promote');
  const edges = await upFrom({ kind: 'prediction', id });
  expect(edges).toContainEqual({ from: `model:${SECOND}`, to: `prediction:${id}`, relation: 'answered' });
  const made = edges.filter(({ to }) => to === `model:${SECOND}`);
  expect(made).toEqual([
    {
      ...{ to: `model:${SECOND}`, relation: 'promoted' },
      from: { action: 'promote', alias: 'champion', before: FIRST, revision: 2, by: BY },
    },
    { to: `model:${SECOND}`, relation: 'registered', from: { action: 'register', by: BY } },
  ]);
});

it('has a run with a start and an end for each change, and none for a change that did not take place', async () => {
  const runs = async () => {
    const read = await db.execute(
      sql`select detail->>'action' as action, version from millrace.lineage_runs where job = 'registry' order by started_at, id`,
    );
    return read.rows.map((row) => `${row['action']} ${row['version']}`);
  };
  const before = await runs();
  // Registered already; another version was expected; the champion cannot be withdrawn.
  await registerVersion(db, { model: MODEL, version: FIRST, manifest: '{}', card: '', measured: {} }, BY);
  expect(await point(FIRST, 'set', FIRST)).toBeNull();
  expect(await retireVersion(db, { model: MODEL, version: SECOND }, BY)).toBe(false);
  expect(await runs()).toEqual(before);
  // Withdrawn once, whoever asks again.
  expect(await retireVersion(db, { model: MODEL, version: FIRST }, BY)).toBe(true);
  expect(await retireVersion(db, { model: MODEL, version: FIRST }, BY)).toBe(true);
  await point(null, 'clear');
  expect(await runs()).toEqual([...before, `retire ${FIRST}`, 'clear ']);

  const events = await readLineageEvents(db, { tx: 0, seq: 0 }, 200);
  const told = events.map((row) => runEventOf(row, catalog, lineage.datasets));
  const ofRegistry = told.filter(({ job }) => job.name === `registry.${MODEL}`);
  expect(ofRegistry.map(({ eventType }) => eventType)).toEqual(
    Array.from({ length: before.length + 2 }, () => ['START', 'COMPLETE']).flat(),
  );
  const versions = ofRegistry.map(({ outputs }) => outputs?.[0]?.facets?.version?.datasetVersion);
  expect(versions).toContain(SECOND);
});

it('leads from a change to its version, and to the version that it replaced', async () => {
  const { rows } = await db.execute(
    sql`select id from millrace.lineage_runs where job = 'registry' and detail->>'action' = 'rollback'`,
  );
  const id = String(rows[0]?.['id']);
  const change = { action: 'rollback', alias: 'champion', before: SECOND, revision: 3, by: BY };
  expect(await upFrom({ kind: 'run', id })).toEqual([
    { from: `model:${SECOND}`, to: change, relation: 'replaced' },
  ]);
  expect(await upFrom({ kind: 'run', id }, 'down')).toContainEqual({
    ...{ from: change, to: `model:${FIRST}`, relation: 'rolled-back-to' },
  });
});

it('leads from a version to the step of its rollout', async () => {
  const version = '0000000000cc';
  await registerVersion(db, { model: MODEL, version, manifest: '{}', card: '', measured: {} }, BY);
  const rollout = crypto.randomUUID();
  const step = { stage: 'shadow', step: 1, share: 0, reason: 'begun', evidence: null, after: null };
  const moved = await moveRollout(
    db,
    { model: MODEL, rollout, version, base: SECOND, ...step, isPromoted: false, needsBase: false },
    { principal: BY, tags: [`model:${MODEL}`] },
  );
  expect(moved).not.toBeNull();
  const made = (await upFrom({ kind: 'model', id: version })).map(({ relation }) => relation);
  expect(made.sort()).toEqual(['registered', 'rolled-out']);
});
