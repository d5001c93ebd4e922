import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import * as z from 'zod';
import { append, ensure, increment, upsert } from '../../../src/define/event.ts';
import { type StorableEvent, storingStatements } from '../../../src/storage/postgres/event-store.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import {
  type EffectsDatabase,
  openEffectsDatabase,
  riderHistory,
  station,
  storable,
} from './effects-catalog.ts';

/** The work of the transaction that stores events grows with their number, whatever the planner knows of the tables. */

const EVENTS = 600;
const ROWS_MAX = 100;

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
});
beforeEach(() => of.empty());
afterAll(() => of.stop());

function eventsAt(at: number, count: number): StorableEvent[] {
  return Array.from({ length: count }, (_, n) =>
    storable(`${at}-${n}`, at, [
      upsert(station, { id: `s${n}`, name: `${at}`, status: 'open', battery: n }),
      ...(n % 2 === 0 ? [ensure(station, { id: `t${n}`, note: 'new' })] : []),
      increment(station, `s${n}`, { bikes: 1 }),
      append(riderHistory, { station: `s${n}`, rider: `${n}` }),
    ]),
  );
}

const Node = z.object({
  'Actual Rows': z.number().default(0),
  'Actual Loops': z.number().default(0),
  'Rows Removed by Filter': z.number().default(0),
  'Rows Removed by Join Filter': z.number().default(0),
  'Rows Removed by Index Recheck': z.number().default(0),
  get Plans() {
    return z.array(Node).default([]);
  },
});
type Node = z.output<typeof Node>;
const Explained = z.tuple([z.object({ 'QUERY PLAN': z.tuple([z.object({ Plan: Node })]) })]);

/** The rows that a plan returned or discarded in all of its nodes. */
function visited(node: Node): number {
  const discarded =
    node['Rows Removed by Filter'] +
    node['Rows Removed by Join Filter'] +
    node['Rows Removed by Index Recheck'];
  const own = node['Actual Loops'] * (node['Actual Rows'] + discarded);
  return node.Plans.reduce((sum, child) => sum + visited(child), own);
}

/** Stores events, and counts the rows that each statement visits. */
async function visitedBy(events: readonly StorableEvent[]): Promise<number[]> {
  const counts: number[] = [];
  for (const statement of storingStatements(events, crypto.randomUUID(), 'live')) {
    const rows = await of.rows(sql`explain (analyze, costs off, timing off, format json) ${statement}`);
    const [{ 'QUERY PLAN': plan }] = Explained.parse(
      rows.map((row) => ({
        'QUERY PLAN':
          typeof row['QUERY PLAN'] === 'string' ? JSON.parse(row['QUERY PLAN']) : row['QUERY PLAN'],
      })),
    );
    counts.push(visited(plan[0].Plan));
  }
  return counts;
}

/** Each leads the planner to another estimate of how many events a transaction has. */
const KNOWN: readonly (readonly [string, () => Promise<void>])[] = [
  ['nothing', async () => {}],
  [
    'transactions of one event',
    async () => {
      for (const event of eventsAt(1, 100)) await of.store([event]);
    },
  ],
  [
    'a large transaction',
    async () => {
      await of.store(eventsAt(1, EVENTS));
    },
  ],
];

it.each(KNOWN)('reads a batch a fixed number of times, where the planner knows %s', async (_, prepare) => {
  await prepare();
  await of.db.execute(sql`analyze ${millrace.events}`);
  // Tags of lists are up to 30 rows for each row of a table. A nested loop over the batch visits EVENTS² / 2 rows.
  for (const [index, count] of (await visitedBy(eventsAt(2, EVENTS))).entries())
    expect(count / EVENTS, `rows for each event in statement ${index}`).toBeLessThan(ROWS_MAX);
  const [row] = await of.rows(
    sql`select count(*)::int as stations from stations where name = '2' and bikes > 0`,
  );
  expect(row).toEqual({ stations: EVENTS });
});
