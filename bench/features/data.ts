import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { systemNow } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { KEY } from '../support/runtime.ts';

/** The fifty values of `features-worker.ts`. */
export const NAMES = Array.from({ length: 10 }, (_, feature) =>
  ['1d', '7d', '30d', '90d', '365d'].map((window) => `f${feature}_${window}`),
).flat();

const EVENTS_A_KEY = 20;
/** Counts all of them: they are spread over a year. Both workers that are filled have it. */
const COUNTED = 'purchases_365d';
/** Events of a request. */
const BATCH = 500;
/** The most keys of one read. */
const READ_KEYS = 100;
const DAY_MS = 86_400_000;
const POLL_MS = 300;
const GIVE_UP_MS = 120_000;

const headers = { authorization: `Bearer ${KEY}` };

async function answer(url: URL, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url.pathname}: ${response.status} ${text}`);
  return JSON.parse(text);
}

const Versions = z.object({ features: z.array(z.object({ state: z.string() })) });

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  while (!(await isTrue())) {
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${GIVE_UP_MS / 1_000} s.`);
    await sleep(POLL_MS);
  }
}

const random = seededRandom(1);

/** A CloudEvent of a purchase by a customer. */
export function purchaseOf(customerId: string, at: number) {
  return {
    specversion: '1.0',
    id: newId(),
    source: '/bench',
    type: 'shop.purchase.v1',
    time: new Date(at).toISOString(),
    data: {
      invoice: `I${Math.floor(random() * 1e9)}`,
      sku: `S${Math.floor(random() * 500)}`,
      quantity: 1 + Math.floor(random() * 20),
      unitPrice: Math.ceil(random() * 10_000) / 100,
      customerId,
      country: 'Norway',
    },
  };
}

/** Sends twenty purchases of each key, spread over a year, and waits until they are folded into features. */
export async function fillFeatures(base: URL, keys: number): Promise<void> {
  await answer(new URL('/v1/admin/features/backfill', base), { method: 'POST', headers });
  await until('The features are ready', async () => {
    const { features } = Versions.parse(await answer(new URL('/v1/admin/features', base), { headers }));
    return features.every(({ state }) => state === 'ready');
  });
  const total = keys * EVENTS_A_KEY;
  for (let first = 0; first < total; first += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, total - first) }, (_, index) =>
      purchaseOf(`c${(first + index) % keys}`, systemNow() - Math.floor(random() * 364 * DAY_MS)),
    );
    await answer(new URL('/v1/events', base), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/cloudevents-batch+json', prefer: 'wait' },
      body: JSON.stringify(events),
    });
  }
  await until('The events are folded', async () => {
    const rows = await readAll(new URL('/v1/features/read', base), keys, [COUNTED]);
    return Object.values(rows).every(([count]) => count === EVENTS_A_KEY);
  });
}

const Read = z.object({
  results: z.array(
    z.object({
      key: z.string(),
      features: z.record(z.string(), z.object({ value: z.number().nullable(), status: z.string() })),
    }),
  ),
});

/** The values of all keys, in the order of the names. */
export async function readAll(
  url: URL,
  keys: number,
  names: readonly string[],
): Promise<Readonly<Record<string, (number | null)[]>>> {
  const rows: Record<string, (number | null)[]> = {};
  for (let first = 0; first < keys; first += READ_KEYS) {
    const asked = Array.from(
      { length: Math.min(READ_KEYS, keys - first) },
      (_, index) => `c${first + index}`,
    );
    const body = JSON.stringify({ entity: 'customer', keys: asked, features: names });
    const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
    for (const { key, features } of Read.parse(await answer(url, init)).results)
      rows[key] = names.map((name) => features[name]?.value ?? null);
  }
  return rows;
}
