import type { NeonQueryPromise } from '@neondatabase/serverless';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { reflect } from '../../../src/storage/postgres/reflecting.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

/** What every fill pays for the report of the outbox, in Postgres's own count of pages: `EXPLAIN (ANALYZE, BUFFERS)`. */

const EPOCH = 'e';
const RELAYED = 100_000;
/** As many as are committed and marked in one statement each. */
const RELAYED_AT_ONCE = 10_000;
/** Pages of the three indexes and of `epochs`: two or three levels each, and one row. */
const QUIET_PAGES = 8;
/** Entries of `outbox_pending` on a page. A fill passes the page of a dead entry until a vacuum removes it. */
const ENTRIES_A_PAGE = 200;
/** As many as may be dead before autovacuum begins (`migrations/0006_outbox_vacuum.sql`). */
const DEAD_MAX = 5_000;
/** Pages that an index may take for each row that it gets: its levels, and the share of a split. */
const INSERT_PAGES = 4;

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.execute(sql`insert into millrace.epochs (epoch) values (${EPOCH})`);
  // In parts, because a statement that changes all rows can pass the deadline of a query on a slow machine.
  for (let relayed = 0; relayed < RELAYED; relayed += RELAYED_AT_ONCE) await relay(RELAYED_AT_ONCE);
  await db.execute(sql`vacuum analyze millrace.outbox`);
});
afterAll(async () => {
  await database.close();
});

/** Commits changes and marks them as relayed, as the relay does: in pages. */
async function relay(changes: number): Promise<void> {
  await db.execute(sql`
    insert into millrace.outbox (tags) select array['product:' || n, 'product/by-sku^' || n] from generate_series(1, ${changes}::int) n`);
  await db.execute(sql`
    update millrace.outbox set relayed_at = now(), relayed_epoch = ${EPOCH}, relayed_seq = id where relayed_at is null`);
}

const Plan = z.tuple([
  z.object({ Plan: z.looseObject({ 'Shared Hit Blocks': z.int(), 'Shared Read Blocks': z.int() }) }),
]);

/** Runs a statement and returns the pages that it has touched. */
async function pagesOf(text: string, params: unknown[] = []): Promise<number> {
  const rows: unknown = await db.$client.query(`explain (analyze, buffers, format json) ${text}`, params);
  const [{ 'QUERY PLAN': plan }] = z.tuple([z.object({ 'QUERY PLAN': z.unknown() })]).parse(rows);
  const [{ Plan: top }] = Plan.parse(plan);
  return top['Shared Hit Blocks'] + top['Shared Read Blocks'];
}

/** The pages of the statement that every fill carries, as the code makes it. */
async function reportPages(): Promise<number> {
  const sent: NeonQueryPromise<boolean, boolean>[] = [];
  const client = new Proxy(db.$client, {
    get: (target, name) =>
      name === 'transaction'
        ? async (queries: NeonQueryPromise<boolean, boolean>[]) => {
            sent.push(...queries);
            return await target.transaction(queries);
          }
        : Reflect.get(target, name),
  });
  await reflect(client, EPOCH).db.execute(sql`select 1`);
  const report = sent.at(-1);
  if (report === undefined) throw new Error('The fill has sent no report.');
  const { query, params } = z
    .looseObject({ query: z.string(), params: z.array(z.unknown()) })
    .parse(report.queryData);
  return await pagesOf(query, params);
}

describe('the report of a fill', () => {
  it(`reads at most ${QUIET_PAGES} pages beside ${RELAYED} relayed changes, in another epoch, too`, async () => {
    expect(await reportPages()).toBeLessThanOrEqual(QUIET_PAGES);
    await db.execute(
      sql`insert into millrace.epochs (epoch) select 'old ' || n from generate_series(1, 20) n`,
    );
    expect(await reportPages()).toBeLessThanOrEqual(QUIET_PAGES);
  });

  it('reads few pages more for changes that were relayed since the last vacuum, and none after it', async () => {
    await relay(DEAD_MAX);
    // The first fill marks the dead entries, for which it looks at their rows.
    await reportPages();
    expect(await reportPages()).toBeLessThanOrEqual(QUIET_PAGES + DEAD_MAX / ENTRIES_A_PAGE);
    // So few rows of so many: without the table's setting a vacuum would leave the index as it is.
    await db.execute(sql`vacuum millrace.outbox`);
    expect(await reportPages()).toBeLessThanOrEqual(QUIET_PAGES);
  });

  it('is vacuumed by the number of dead rows, however many the table has', async () => {
    const { rows } = await db.execute(sql`
      select unnest(reloptions) as option from pg_class where oid = 'millrace.outbox'::regclass order by option`);
    expect(rows.map(({ option }) => option)).toEqual([
      'autovacuum_vacuum_scale_factor=0',
      `autovacuum_vacuum_threshold=${DEAD_MAX}`,
      'vacuum_index_cleanup=on',
    ]);
  });
});

it(`an event's change of a row costs at most ${INSERT_PAGES} pages for the index of its transaction`, async () => {
  const insert = (batch: string) =>
    pagesOf(
      `insert into millrace.outbox (tags, batch) select array['product:' || n], ${batch} from generate_series(1, 1000) n`,
    );
  const without = await insert('null::uuid');
  const own = await insert('gen_random_uuid()');
  expect((own - without) / 1_000).toBeLessThanOrEqual(INSERT_PAGES);
  expect(own).toBeGreaterThan(without);
});
