import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { SHOP } from '../served.ts';
import { csvOf, HEADER_II, xlsxOf } from '../unit/import-fixtures.ts';
import { importInto } from './import-run.ts';

const FIRST_LINES = 600;
/** One line of every 50 has a negative quantity. */
const REFUSED = FIRST_LINES / 50;

let stack: Stack;
let directory: string;
beforeAll(async () => {
  stack = await startStack({}, { served: SHOP });
  directory = await mkdtemp(join(tmpdir(), 'millrace-import-'));
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const run = (file: string) => importInto(stack, directory, file);

async function inDatabase() {
  const [row] = await stack.sql(`select
    (select count(*) from millrace.events)::int as events,
    (select count(*) from purchases)::int as purchases,
    (select count(*) from millrace.quarantine)::int as quarantined,
    (select count(*) from millrace.outbox where relayed_at is null)::int as pending`);
  return row;
}

async function folded() {
  const { data } = await stack.caller.client.get('/v1/admin/pipeline');
  return data.features.folded;
}

it('ends when every line is in the database and in the features', async () => {
  await writeFile(join(directory, 'first.csv'), csvOf(FIRST_LINES));
  const { kind, state } = await run('first.csv');
  const stored = FIRST_LINES - REFUSED;
  expect({ kind, state }).toMatchObject({
    kind: 'complete',
    state: { acknowledged: FIRST_LINES, stored, known: 0, quarantined: { quantity_not_positive: REFUSED } },
  });
  expect(await inDatabase()).toEqual({
    events: stored,
    purchases: stored,
    quarantined: REFUSED,
    pending: 0,
  });
  expect(await folded()).toEqual({ product: stored, customer: stored });
});

it('invalidates the answers that a return changes', async () => {
  const rows = [
    '1,90000,MUG,5,2010-11-01 10:00:00,2.5,13085,EIRE',
    'C2,90000,MUG,-2,2010-11-02 10:00:00,2.5,13085,EIRE',
  ];
  const page = async () => {
    const { cache, json } = await stack.caller.ask('GET', '/v1/products/90000');
    return { status: cache, body: json };
  };
  await writeFile(join(directory, 'bought.csv'), [HEADER_II, rows[0]].join('\n'));
  await writeFile(join(directory, 'returned.csv'), [HEADER_II, rows[1]].join('\n'));
  await run('bought.csv');
  const cached = await eventually(page, ({ status }) => status?.includes('; hit') === true);
  expect(cached.body).toMatchObject({ sold: { units: 5 } });
  await run('returned.csv');
  await eventually(page, ({ body }) => JSON.stringify(body).includes('"units":3'));
});

it('counts the lines of a second file that repeat the first or itself, and loses no line when the stack is killed', async () => {
  const [header = [], ...rows] = csvOf(900)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  // The sheets of the real workbook overlap, and so do its two years.
  const sheets = [
    [header, ...rows.slice(500, 700)],
    [header, ...rows.slice(650, 900)],
  ];
  await writeFile(join(directory, 'second.xlsx'), xlsxOf(sheets));
  const refusedIn = (from: number, to: number) =>
    rows.slice(from, to).filter(([, , , quantity]) => Number(quantity) < 0).length;
  const { kind, state, folding } = await run('second.xlsx');
  expect((await run('second.xlsx')).kind).toBe('already_complete');
  const features = await folded();
  stack.killRuntime();
  const fresh = 300 - refusedIn(600, 900);
  expect({ kind, state, folding }).toMatchObject({
    kind: 'complete',
    folding: { pending: 0, unfolded: 0 },
    state: {
      ...{ acknowledged: 450, stored: fresh, known: 150 - refusedIn(500, 600) - refusedIn(650, 700) },
      quarantined: { quantity_not_positive: refusedIn(500, 700) + refusedIn(650, 900) },
    },
  });
  // Two lines were bought and returned in between.
  const stored = FIRST_LINES - REFUSED + fresh;
  expect(await inDatabase()).toMatchObject({ events: stored + 2, purchases: stored + 1, pending: 0 });
  expect(features).toEqual({ product: stored + 1, customer: stored + 1 });
});
