import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { putEntity } from '../../../src/storage/postgres/entity-writes.ts';
import { markRelayed } from '../../../src/storage/postgres/outbox.ts';
import { product } from '../../support/catalog/entities.ts';
import { FIXTURE } from '../../support/node/fixture.ts';

let database: DevDatabase;
let db: ReturnType<typeof connect>;

beforeAll(async () => {
  database = await startDevDatabase({ dataDir: 'memory://', migrationsDir: FIXTURE.migrationsDir });
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
}, 60_000);
afterAll(() => database.close());

const put = (sku: string, unitPrice: number) => putEntity(db, product, sku, { description: null, unitPrice });

it('invalidates with a repeated write what the first one did whose answer was lost', async () => {
  const first = await put('repeated', 1);
  const again = await put('repeated', 1);
  expect(again.created).toBe(false);
  expect(again.tags).toEqual(expect.arrayContaining([...first.tags]));
});

it('invalidates with a later write where an earlier one moved the row to, and nothing that is relayed', async () => {
  const first = await put('moved', 1);
  await markRelayed(db, [first.outboxId], { epoch: 'e', seq: 1 });
  const moved = await put('moved', 2_000);
  const again = await put('moved', 2_000);
  expect(again.tags).toEqual(expect.arrayContaining([...moved.tags]));
  await db.execute(sql`update millrace.outbox set relayed_at = now()`);
  const last = await put('moved', 2_000);
  expect(last.tags).toEqual([product.row('moved')]);
});

it('leaves what waits for other rows to their own writers', async () => {
  await put('this', 1);
  await db.execute(sql`update millrace.outbox set relayed_at = now()`);
  const other = await put('that', 1);
  const own = await put('this', 1);
  expect(other.tags).not.toEqual([]);
  expect(own.tags).toEqual([product.row('this')]);
});
