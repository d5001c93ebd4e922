import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { connect } from '../../src/storage/postgres/connect.ts';
import type { DevDatabase } from './database.ts';

/** What is still on its way after this long goes on in the background. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Has everything relayed and folded, and returns a customer and a product to try things on. */
export async function ready(options: {
  url: string;
  key: string;
  database: DevDatabase;
  step: (text: string) => void;
}): Promise<{ customer: string; sku: string }> {
  const { url, key, database, step } = options;
  const headers = { authorization: `Bearer ${key}` };
  const swept = await fetch(`${url}/v1/admin/outbox/sweep`, { method: 'POST', headers });
  if (!swept.ok) throw new Error(`The outbox could not be relayed: ${await swept.text()}`);
  await untilFolded(url, headers);
  step('features are folded');

  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(sql`
    select customer_id, (array_agg(sku order by occurred_at desc))[1] as sku
    from (select * from purchases where customer_id is not null order by occurred_at desc limit 500) recent
    group by customer_id order by count(*) desc, customer_id limit 1`);
  return { customer: String(rows[0]?.['customer_id'] ?? '12345'), sku: String(rows[0]?.['sku'] ?? '10001') };
}

/** Folding has no end that could be asked for: it is over when the shards' count stands still. */
async function untilFolded(url: string, headers: Record<string, string>): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  let before = '';
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/v1/admin/pipeline`, { headers });
    const state = await response.text();
    if (state === before) return;
    before = state;
    await sleep(750);
  }
}
