import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { deleteEntity, putEntity, rowVersion } from '../../../src/storage/postgres/entity-writes.ts';
import { markRelayed } from '../../../src/storage/postgres/outbox.ts';
import { product } from '../../support/catalog/entities.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

let database: DevDatabase;
let db: ReturnType<typeof connect>;

beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(() => database.close());

const put = async (sku: string, unitPrice: number) => {
  const written = await putEntity(db, product, sku, { description: null, unitPrice });
  if (written === null) throw new Error('A write without a precondition was refused.');
  return written;
};

it('invalidates the changes of a first write, whose answer was lost, with its repetition', async () => {
  const first = await put('repeated', 1);
  const again = await put('repeated', 1);
  expect(again.created).toBe(false);
  expect(again.tags).toEqual(expect.arrayContaining([...first.tags]));
});

it('invalidates the place to which an earlier pending write moved the row, and no relayed change', async () => {
  const first = await put('moved', 1);
  await markRelayed(db, [first.outboxId], { epoch: 'e', seq: 1 });
  const moved = await put('moved', 2_000);
  const again = await put('moved', 2_000);
  expect(again.tags).toEqual(expect.arrayContaining([...moved.tags]));
  await db.execute(sql`update millrace.outbox set relayed_at = now()`);
  const last = await put('moved', 2_000);
  expect(last.tags).toEqual([product.row('moved')]);
});

it('leaves pending changes of other rows to their writers', async () => {
  await put('this', 1);
  await db.execute(sql`update millrace.outbox set relayed_at = now()`);
  const other = await put('that', 1);
  const own = await put('this', 1);
  expect(other.tags).not.toEqual([]);
  expect(own.tags).toEqual([product.row('this')]);
});

describe('a deletion', () => {
  it('of a missing row invalidates the changes of a first deletion whose answer was lost', async () => {
    await put('deleted', 1);
    await db.execute(sql`update millrace.outbox set relayed_at = now()`);
    const first = await deleteEntity(db, product, 'deleted');
    const again = await deleteEntity(db, product, 'deleted');
    expect(first?.tags).toContain(product.row('deleted'));
    expect(again?.tags).toEqual(expect.arrayContaining([...(first?.tags ?? [])]));
    expect((await deleteEntity(db, product, 'never'))?.tags).toEqual([product.row('never')]);
  });
});

describe('a conditional write', () => {
  const fields = { description: null, unitPrice: 5 };
  const priceOf = async (sku: string) =>
    (await db.execute(sql`select unit_price::float8 as price from products where sku = ${sku}`)).rows[0]?.[
      'price'
    ];

  it('inserts only where there is no row', async () => {
    expect(await putEntity(db, product, 'new', fields, { noneMatch: '*' })).toMatchObject({ created: true });
    expect(await putEntity(db, product, 'new', { ...fields, unitPrice: 6 }, { noneMatch: '*' })).toBeNull();
    expect(await priceOf('new')).toBe(5);
  });

  it('replaces only a row that is there, in the version that was named', async () => {
    expect(await putEntity(db, product, 'none', fields, { match: '*' })).toBeNull();
    expect(await priceOf('none')).toBeUndefined();
    const first = await put('versioned', 1);
    const version = first?.version ?? '';
    expect(await rowVersion(db, product, 'versioned')).toBe(version);
    const second = await putEntity(db, product, 'versioned', fields, { match: [version] });
    expect(second?.version).not.toBe(version);
    expect(await putEntity(db, product, 'versioned', fields, { match: [version] })).toBeNull();
    expect(await putEntity(db, product, 'versioned', fields, { match: [] })).toBeNull();
    const current = second?.version ?? '';
    expect(await putEntity(db, product, 'versioned', fields, { noneMatch: [current] })).toBeNull();
    expect(await putEntity(db, product, 'versioned', fields, { noneMatch: [version] })).not.toBeNull();
  });

  it('deletes only a row that is there, in the version that was named', async () => {
    const version = (await put('removed', 1))?.version ?? '';
    expect(await deleteEntity(db, product, 'removed', { match: ['1'] })).toBeNull();
    expect(await deleteEntity(db, product, 'removed', { noneMatch: '*' })).toBeNull();
    expect(await priceOf('removed')).toBe(1);
    expect(await deleteEntity(db, product, 'removed', { match: [version] })).not.toBeNull();
    expect(await deleteEntity(db, product, 'removed', { match: '*' })).toBeNull();
    expect(await deleteEntity(db, product, 'removed', { noneMatch: '*' })).not.toBeNull();
  });

  it('writes nothing where its precondition fails: no outbox row, so nothing is invalidated', async () => {
    await put('quiet', 1);
    const rows = async () => (await db.execute(sql`select count(*)::int as n from millrace.outbox`)).rows[0];
    const before = await rows();
    await putEntity(db, product, 'quiet', fields, { noneMatch: '*' });
    await putEntity(db, product, 'quiet', fields, { match: ['1'] });
    await deleteEntity(db, product, 'quiet', { match: ['1'] });
    expect(await rows()).toEqual(before);
  });
});

describe('the round trips to the database', () => {
  it.each([
    ['an insert', () => put('counted', 1)],
    ['a replacement', () => put('counted', 2)],
    ['a deletion', () => deleteEntity(db, product, 'counted')],
    ['the mark of the outbox', () => markRelayed(db, [1], { epoch: 'e', seq: 1 })],
  ])('of %s are one', async (_, write) => {
    const requests = vi.spyOn(globalThis, 'fetch');
    try {
      await write();
      expect(requests).toHaveBeenCalledTimes(1);
    } finally {
      requests.mockRestore();
    }
  });
});
