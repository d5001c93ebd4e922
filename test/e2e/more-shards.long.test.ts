import { afterAll, beforeAll, expect, it } from 'vitest';
import { FIXTURE } from '../support/node/fixture.ts';
import { scratchDatabase } from '../support/node/scratch-database.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const PURCHASES = 18_000;
const CUSTOMERS = 60;
const KEYS = Array.from({ length: CUSTOMERS }, (_, n) => `c${n}`);

let stack: Stack;
let scratch: { url: string; drop: () => Promise<void> } | undefined;
beforeAll(async () => {
  scratch = POSTGRES_URL === undefined ? undefined : await scratchDatabase(POSTGRES_URL, 'more_shards');
  stack = await startStack(
    {},
    {
      databaseUrl: scratch?.url,
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, data, batch)
         select '/old', n::text, 'shop.purchase.v1', now() - n * interval '1 second',
           jsonb_build_object('invoice', n::text, 'sku', 'S' || n % 7, 'quantity', 1, 'unitPrice', 1.5 + n % 11,
             'customerId', 'c' || n % ${CUSTOMERS}, 'country', 'UK'), gen_random_uuid()
         from generate_series(1, ${PURCHASES}) n`,
      ],
    },
  );
}, 240_000);
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await scratch?.drop();
});

interface Value {
  readonly value: unknown;
  readonly status: string;
  readonly eventAt: number | null;
}

/** All features of all customers, but for their ages; undefined if the worker does not answer. */
async function values(): Promise<Record<string, Value>[] | undefined> {
  const read = { entity: 'customer', keys: KEYS };
  const asked = await stack.caller.ask('POST', '/v1/features/read', { json: read }).catch(() => undefined);
  if (asked === undefined || asked.status !== 200) return undefined;
  const { results } = JSON.parse(asked.text) as { results: { features: Record<string, Value> }[] };
  return results.map(({ features }) =>
    Object.fromEntries(
      Object.entries(features).map(([name, { value, status, eventAt }]) => [
        name,
        { value, status, eventAt },
      ]),
    ),
  );
}

interface States {
  readonly shards: readonly {
    entity: string;
    shards: number;
    building: { shards: number; events: number } | null;
  }[];
  readonly failure: string | null;
}

async function customerShards(to?: number): Promise<States['shards'][number] | undefined> {
  const query = to === undefined ? '' : `?entity=customer&shards=${to}`;
  const path = `/v1/admin/features/backfill${query}`;
  const asked = await stack.caller.ask('POST', path).catch(() => undefined);
  if (asked?.status !== 202) return undefined;
  return (JSON.parse(asked.text) as States).shards.find(({ entity }) => entity === 'customer');
}

async function digest(): Promise<{ digest: string; cells: number }> {
  const { text } = await stack.caller.ask('GET', '/v1/admin/features/digest');
  const { digest: all, cells } = JSON.parse(text) as { digest: string; cells: number };
  return { digest: all, cells };
}

async function buy(id: string, customerId: string): Promise<void> {
  const event = {
    ...{ specversion: '1.0', id, source: '/live', type: 'shop.purchase.v1', time: new Date().toISOString() },
    data: {
      invoice: id,
      sku: 'S1',
      description: 'Live',
      unitPrice: 2,
      quantity: 1,
      customerId,
      country: 'UK',
    },
  };
  await eventually(
    async () => {
      const headers = { prefer: 'wait', 'content-type': 'application/cloudevents+json' };
      const sending = stack.fetch('/v1/events', {
        method: 'POST',
        headers: { ...headers, authorization: `Bearer ${KEY}` },
        body: JSON.stringify(event),
        // The local platform answers nothing to a request that comes while it starts the runtime again.
        signal: AbortSignal.timeout(10_000),
      });
      // The runtime may be gone.
      return (await sending.catch(() => undefined))?.status;
    },
    (status) => status === 201,
    60_000,
  );
}

const TITLE = POSTGRES_URL === undefined ? 'PGlite' : 'Postgres';

it(`gives customers more shards while it serves, is killed meanwhile, and every value stays bit for bit, on ${TITLE}`, async () => {
  const isWhole = (read: Record<string, Value>[] | undefined) =>
    read?.every(({ purchases_30d: count }) => count?.status === 'PRESENT') === true;
  const before = (await eventually(values, isWhole, 120_000)) ?? [];
  expect(before.map(({ purchases_30d: count }) => count?.value)).toEqual(
    KEYS.map(() => PURCHASES / CUSTOMERS),
  );
  const digestBefore = await digest();
  const begun = await eventually(
    () => customerShards(16),
    (state) => state !== undefined,
    60_000,
  );
  // It has not ended yet: its position is in the database, and what is filled in the storage of the objects.
  expect(begun).toMatchObject({ shards: 8, building: { shards: 16 } });
  stack.killRuntime();
  // The local platform would start another runtime, and answer no request by it.
  await stack.deploy(FIXTURE.main);
  // Events that come meanwhile.
  await buy('live-1', 'c0');
  await buy('live-2', 'c1');
  const seen = new Set<string>();
  await eventually(
    async () => {
      for (const row of (await values())?.slice(2) ?? []) seen.add(JSON.stringify(row['purchases_30d']));
      // The heartbeats that go on with it come with reads of cached answers, and here with this call.
      return await customerShards();
    },
    (state) => state?.shards === 16 && state.building === null,
    120_000,
  );
  const after = (await eventually(values, (read) => read !== undefined, 30_000)) ?? [];
  expect(after.slice(2)).toEqual(before.slice(2));
  expect(after.slice(0, 2).map(({ purchases_30d: count }) => count?.value)).toEqual([
    PURCHASES / CUSTOMERS + 1,
    PURCHASES / CUSTOMERS + 1,
  ]);
  // No read in between saw a part, or nothing.
  expect([...seen].sort()).toEqual(
    [...new Set(before.slice(2).map((row) => JSON.stringify(row['purchases_30d'])))].sort(),
  );
  expect((await digest()).cells).toBeGreaterThanOrEqual(digestBefore.cells);
  // What was replaced before the move did not move.
  await stack.sql(
    `insert into millrace.feature_versions (entity, feature, digest, state, retired_at)
     values ('customer', 'purchases', '0123456789abcdef', 'ready', now())`,
  );
  const refusals = ['purchases_30d@0123456789ab', 'purchases_30d@ba9876543210'].map(async (feature) => {
    const read = { entity: 'customer', keys: ['c0'], features: [feature] };
    const { status, json } = await stack.caller.ask('POST', '/v1/features/read', { json: read });
    return [status, json['code'], String(json['detail']).includes('got 16 shards')];
  });
  expect(await Promise.all(refusals)).toEqual([
    [422, 'feature_version_gone', true],
    [422, 'unknown_feature_version', false],
  ]);
  // Fewer shards, and another number while they are filled, are refused.
  const { status } = await stack.caller.ask('POST', '/v1/admin/features/backfill?entity=customer&shards=8');
  expect(status).toBe(422);
}, 400_000);
