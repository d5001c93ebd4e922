/** A customer with data in every place that an erasure knows, and where their key is found. */
import { expect } from 'vitest';
import * as z from 'zod';
import { eventually, type Stack } from '../node/stack.ts';

const TRAINING = '5b1f6a34-0f0e-4a53-9d2b-9a4c8e1f7d11';

/** A purchase a day of each customer, as it would have been stored then: statements for a new database. */
export function historyOf(customers: readonly string[], days: number): string[] {
  return [
    `insert into millrace.events (source, id, type, occurred_at, recorded_at, data, batch)
   select '/old', n || c, 'shop.purchase.v1', at, at, jsonb_build_object('invoice', n::text, 'sku', 'S' || n % 3,
     'quantity', 1 + n % 4, 'unitPrice', 1.5, 'customerId', c, 'country', 'UK'), gen_random_uuid()
   from generate_series(1, ${days}) n, unnest(array['${customers.join("','")}']) c,
     lateral (select now() - n * interval '1 day' as at) as moment`,
    `insert into customers (id, country) select distinct data->>'customerId', 'UK' from millrace.events`,
    `insert into products (sku, unit_price) select distinct data->>'sku', 1.5 from millrace.events`,
    `insert into purchases (event_seq, invoice, sku, customer_id, quantity, unit_price, country, occurred_at)
   select seq, data->>'invoice', data->>'sku', data->>'customerId', (data->>'quantity')::integer, 1.5, 'UK', occurred_at
   from millrace.events`,
  ];
}

export function bought(id: string, customerId: string, data: object = {}) {
  return {
    ...{ specversion: '1.0', id, source: '/live', type: 'shop.purchase.v1' },
    data: { invoice: id, sku: 'S1', quantity: 2, unitPrice: 2, customerId, country: 'UK', ...data },
  };
}

/** The tables with rows that have the key in any column, with their numbers. */
export async function places(stack: Stack, key: string): Promise<Record<string, number>> {
  const tables = await stack.sql(
    `select table_schema || '.' || table_name as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema in ('public', 'millrace')`,
  );
  const found: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await stack.sql(
      `select count(*) as n from ${String(name)} t where t::text like '%${key}%'`,
    );
    if (Number(row?.['n']) > 0) found[String(name)] = Number(row?.['n']);
  }
  return found;
}

export async function rebuiltDigest(stack: Stack): Promise<string> {
  const body = { rebuild: true, restart: true };
  let { json } = await stack.caller.ask('POST', '/v1/admin/replay', { json: body });
  while (json['state'] !== 'done')
    ({ json } = await stack.caller.ask('POST', '/v1/admin/replay', { json: { rebuild: true } }));
  return await digest(stack);
}

export async function digest(stack: Stack): Promise<string> {
  return String((await stack.caller.ask('GET', '/v1/admin/features/digest')).json['digest']);
}

/** A dataset of the present history, and a version that is said to have learned from it. @returns the dataset's id. */
export async function makeDataset(stack: Stack): Promise<string> {
  const asOf = new Date(Date.now() - 120_000).toISOString();
  const json = { model: 'expected-spend', knowledge: 'snapshot', asOf };
  const begun = await stack.caller.ask('POST', '/v1/admin/datasets', { json });
  const id = String(begun.json['id']);
  const made = await eventually(
    async () => (await stack.caller.ask('GET', `/v1/admin/datasets/${id}`)).json,
    ({ state }) => state === 'ready' || state === 'failed',
    60_000,
  );
  const manifest = z.object({ digest: z.string() }).parse(made['manifest']);
  const learned = { id, digest: manifest.digest, asOf, rows: 10 };
  const report = { state: 'COMPLETE', startedAt: asOf, version: '0000000000aa', trainingRows: 10 };
  const path = `/v1/admin/models/expected-spend/trainings/${TRAINING}`;
  const end = { ...report, sha256: 'a'.repeat(64), dataset: learned };
  expect((await stack.caller.ask('PUT', path, { json: end })).status).toBe(200);
  return id;
}

/** Objects in R2 that have the key, by their names. */
export async function objects(stack: Stack, key: string): Promise<string[]> {
  const bucket = await stack.bucket();
  const { objects: all } = await bucket.list({ prefix: '' });
  const texts = await Promise.all(
    all.map(async ({ key: name }) => [name, await (await bucket.get(name))?.text()] as const),
  );
  return texts.flatMap(([name, text]) => (text?.includes(key) === true ? [name] : []));
}
