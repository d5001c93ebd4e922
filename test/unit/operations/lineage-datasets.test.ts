import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import type { LineageContext } from '../../../src/operations/lineage/context.ts';
import { datasetsOf } from '../../../src/operations/lineage/datasets.ts';
import { type Graph, walk } from '../../../src/operations/lineage/graph.ts';
import { neighboursOf } from '../../../src/operations/lineage/neighbours.ts';
import { findRoot, type RootName } from '../../../src/operations/lineage/root.ts';
import { runEventOf } from '../../../src/operations/lineage/run-events.ts';
import { typesLearned } from '../../../src/operations/lineage/trained.ts';
import { reportTraining, TrainingReport } from '../../../src/operations/lineage/training.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../src/storage/postgres/event-store.ts';
import { readLineageEvents } from '../../../src/storage/postgres/lineage-read.ts';
import { endTraining, startTraining } from '../../../src/storage/postgres/lineage-runs.ts';
import { catalog } from '../../support/catalog/index.ts';
import { ranker } from '../../support/catalog/models.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const DATASET = '0123456789abcdef0123456789abcdef';
const RUN = '5b1f6a34-0f0e-4a53-9d2b-9a4c8e1f7d10';
const VERSION = '0000000000aa';
const AS_OF = '2026-03-01T00:00:00.000Z';

let database: DevDatabase;
let db: ReturnType<typeof connect>;
let lineage: LineageContext;

/** Stores an event, as if at a moment before or after that of the dataset. */
async function stored(id: string, type: string, recordedAt: string) {
  const data = { sku: 'A1', customerId: 'c1', quantity: 1, unitPrice: 1, invoice: '1', country: 'UK' };
  const event = { source: '/a', id, type, subject: null, time: recordedAt, data, effects: [], tags: [] };
  await storeEvents(db, [event], crypto.randomUUID());
  await db.execute(
    sql`update millrace.events set recorded_at = ${recordedAt}::timestamptz where source = '/a' and id = ${id}`,
  );
}

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const datasets = datasetsOf(catalog, database.connectionString);
  lineage = { db, catalog, datasets, limit: 10, now: Date.now(), champion: async () => undefined };
  await stored('in', 'shop.purchase.v1', '2026-02-01T00:00:00Z');
  await stored('of another type', 'shop.return.v1', '2026-02-01T00:00:00Z');
  await stored('later', 'shop.purchase.v1', '2026-03-01T00:00:01Z');
  await reportTraining(
    RUN,
    ranker.name,
    TrainingReport.parse({
      ...{ state: 'COMPLETE', startedAt: AS_OF, version: VERSION, sha256: 'a'.repeat(64), trainingRows: 7 },
      ...{ codeVersion: '1.2.3', assertions: [{ assertion: 'quality', success: true }] },
      dataset: { id: DATASET, digest: 'd1', asOf: AS_OF, rows: 7, types: typesLearned(catalog, ranker.name) },
    }),
    {
      start: (start) => startTraining(db, start),
      end: (end) => endTraining(db, end),
      now: () => Date.parse(AS_OF) + 60_000,
    },
  );
});
afterAll(async () => {
  await database.close();
});

async function graph(name: RootName, direction: 'up' | 'down'): Promise<Graph> {
  const root = await findRoot(name, lineage);
  if (root === undefined) throw new Error(`There is no ${name.kind} ${name.id}.`);
  return await walk(root, [direction], 4, neighboursOf(lineage));
}
const ids = ({ nodes }: Graph) => nodes.map(({ id }) => id);
const eventsOf = ({ nodes }: Graph) =>
  nodes.filter(({ kind }) => kind === 'event').map(({ attributes }) => attributes['id']);

it('leads from an event over the dataset and the training to the version that learned from it', async () => {
  const found = await graph({ kind: 'event', source: '/a', id: 'in' }, 'down');
  expect(ids(found)).toEqual(
    expect.arrayContaining([`dataset:datasets.${DATASET}`, `run:${RUN}`, `model:${VERSION}`]),
  );
  expect(found.edges).toContainEqual({
    ...{ from: `dataset:datasets.${DATASET}`, to: `run:${RUN}`, relation: 'trained' },
  });
});

it.each(['later', 'of another type'])('leads from an event that is %s to no version', async (id) => {
  const found = await graph({ kind: 'event', source: '/a', id }, 'down');
  expect(ids(found).filter((node) => node.startsWith('model:') || node.includes('datasets.'))).toEqual([]);
});

it('leads from a version to its dataset, the events of it, and the code that trained', async () => {
  const found = await graph({ kind: 'model', id: VERSION }, 'up');
  const run = found.nodes.find(({ id }) => id === `run:${RUN}`);
  expect(run?.attributes).toMatchObject({ codeVersion: '1.2.3', version: VERSION });
  const dataset = found.nodes.find(({ id }) => id === `dataset:datasets.${DATASET}`);
  expect(dataset?.attributes).toMatchObject({ digest: 'd1', asOf: AS_OF, rows: 7 });
  expect(eventsOf(found)).toEqual(['in']);
});

it('begins at a dataset that a training used, and at no other', async () => {
  expect(ids(await graph({ kind: 'dataset', id: `datasets.${DATASET}` }, 'down'))).toContain(
    `model:${VERSION}`,
  );
  expect(await findRoot({ kind: 'dataset', id: `datasets.${'f'.repeat(32)}` }, lineage)).toBeUndefined();
});

it('tells OpenLineage which dataset a training read, in which version', async () => {
  const events = await readLineageEvents(db, { tx: 0, seq: 0 }, 200);
  const end = events.map((row) => runEventOf(row, catalog, lineage.datasets)).at(-1);
  expect(end?.inputs).toMatchObject([
    {
      ...{ namespace: 'millrace', name: `datasets.${DATASET}` },
      facets: { version: { datasetVersion: 'd1' } },
      inputFacets: { dataQualityMetrics: { rowCount: 7 } },
    },
  ]);
});
