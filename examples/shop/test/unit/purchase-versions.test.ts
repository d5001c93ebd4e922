import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../../scripts/dev/database.ts';
import type { ViewDefinition } from '../../../../src/define/view.ts';
import { connect } from '../../../../src/storage/postgres/connect.ts';
import { memoryDatabase } from '../../../../test/support/node/memory-database.ts';
import { customerPurchases, customerPurchasesV1 } from '../../catalog/views.ts';
import { SHOP } from '../served.ts';

/** Both versions of a customer's purchases, from one statement. */

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(SHOP.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.execute(`insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
    select n, 'i' || n, 'A1', 'ada', n, 1.1, 'EIRE', timestamptz '2026-01-01T00:00:00Z' + n * interval '1 hour'
    from generate_series(1, 5) n`);
});
afterAll(() => database.close());

async function pages(view: ViewDefinition, cursor: string): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  let next: unknown;
  do {
    const input = { id: 'ada', limit: 2, [cursor]: next };
    const { value } = await view.load(db, { input, variant: {}, principal: undefined, now: 0, features: {} });
    const page = view.response.parse(value) as { purchases: Record<string, unknown>[]; next: string | null };
    lines.push(...page.purchases);
    next = page.next ?? undefined;
  } while (next !== undefined);
  return lines;
}

it('version 1 has the lines of version 3, with the names that it had', async () => {
  const current = await pages(customerPurchases, 'after');
  expect(current.map(({ invoice }) => invoice)).toEqual(['i5', 'i4', 'i3', 'i2', 'i1']);
  expect(current[2]).toEqual({
    invoice: 'i3',
    sku: 'A1',
    quantity: 3,
    price: { unit: 1.1, line: 3.3 },
    occurredAt: '2026-01-01T03:00:00.000Z',
  });
  expect(await pages(customerPurchasesV1, 'before')).toEqual(
    current.map(({ price: _, ...line }) => ({ ...line, unitPrice: 1.1 })),
  );
});
