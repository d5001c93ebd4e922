import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { type Manifest, versionOf } from '../../../../src/inference/bundle.ts';
import type { SegmentAnswerers } from '../../../../src/inference/segments.ts';
import { shapleyByOrders } from '../../../../test/support/explain/permutations.ts';
import { examplesOf } from '../../../../test/support/gateway/catalog-examples.ts';
import { eventually, type Stack, startStack } from '../../../../test/support/node/stack.ts';
import { ranker } from '../../catalog/models.ts';
import { articleOf, type CustomerSnapshot, parseCandidateTable, rankerRow } from '../../catalog/ranker.ts';
import { SHOP } from '../served.ts';

const MODEL_DIR = join(import.meta.dirname, '../../models/ranker');
const read = (name: string) => readFileSync(join(MODEL_DIR, name));
const candidates = parseCandidateTable(JSON.parse(read('candidates.json').toString('utf8')));
const golden = JSON.parse(read('golden.json').toString('utf8')) as {
  inputs: { features: number[][] };
  outputs: { score: number[][] };
};

const Recommended = z.object({
  item: z.string(),
  score: z.number(),
  reasons: z.array(z.object({ reason: z.string(), contribution: z.number() })).optional(),
});
type Recommended = z.output<typeof Recommended>;
/** An answer that was asked for its features. */
const Shown = z.object({
  items: z.array(Recommended),
  features: z.record(z.string(), z.object({ value: z.unknown() })),
  freshness: z.object({ asOf: z.number() }),
});

/** Operations that have an example in any case: reads, writes, predictions, and Millrace's own that name declarations. */
const EXAMPLES_OF = [
  'readProduct',
  'readProducts',
  'readCustomer',
  'putProduct',
  'readRanker',
  'predictRanker',
];

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { served: SHOP });
});
afterAll(() => stack[Symbol.asyncDispose]());

const send = (method: string, path: string, json: object, contentType = 'application/json') =>
  stack.caller.ask(method, path, { json, contentType });

const shipped: Manifest = JSON.parse(read('manifest.json').toString('utf8'));

/** Publishes the shipped graph; the version depends on who answers which customers. */
async function publish(segments?: SegmentAnswerers): Promise<Manifest> {
  const version = segments && (await versionOf({ ...shipped, segments }));
  const manifest = { ...shipped, ...(version === undefined ? {} : { version, segments }) };
  const body = { manifest, golden, model: read('model.onnx').toString('base64') };
  const published = await send('PUT', '/v1/admin/models/ranker/champion', {
    ...body,
    candidates: read('candidates.json').toString('base64'),
  });
  expect(published.status).toBe(201);
  return manifest;
}

it('publishes the trained bundle, whose golden rows the worker reproduces', async () => {
  await publish();
  const rows = golden.inputs.features;
  const width = rows[0]?.length ?? 0;
  const tensor = { name: 'features', datatype: 'FP32', shape: [rows.length, width], data: rows.flat() };
  const ran = await send('POST', '/v1/predictions/ranker', { inputs: [tensor] });
  const [output] = ran.json['outputs'] as { data: number[] }[];
  expect(golden.outputs.score.flat().length).toBeGreaterThan(0);
  for (const [index, expected] of golden.outputs.score.flat().entries())
    expect(output?.data[index]).toBeCloseTo(expected, 4);
});

it('recommends popular products to an unknown customer, and uses the model after a purchase', async () => {
  const path = '/v1/customers/alice/recommendations';
  const recommended = async () => {
    const { text } = await stack.caller.ask('GET', path, { consistency: 'strong' });
    return JSON.parse(text) as { source: string; reason?: string; items: Recommended[] };
  };
  const stranger = await recommended();
  const popular = candidates.popular.map(({ sku }) => sku);
  expect([stranger.source, stranger.reason]).toEqual(['popularity', 'new_entity']);
  expect(stranger.items.map(({ item }) => item)).toEqual(popular.slice(0, stranger.items.length));
  const event = {
    ...{ specversion: '1.0', id: '1', source: '/shop', type: 'shop.purchase.v1' },
    data: {
      ...{ invoice: '1', sku: popular[0], quantity: 2, unitPrice: 2.5 },
      ...{ customerId: 'alice', country: 'United Kingdom' },
    },
  };
  expect((await send('POST', '/v1/events', event, 'application/cloudevents+json')).status).toBe(202);
  const known = await eventually(recommended, ({ source }) => source === 'model');
  const scores = known.items.map(({ score }) => score);
  expect(scores.length).toBeGreaterThan(0);
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  // What was bought a moment ago is left out, and an article is there in at most two variants.
  const items = known.items.map(({ item }) => item);
  expect(items).not.toContain(popular[0]);
  const articles = Map.groupBy(items, (item) => articleOf(item) ?? item);
  expect(Math.max(...[...articles.values()].map((variants) => variants.length))).toBeLessThanOrEqual(2);
  // Each has the declared reasons that raise its score, the greatest first.
  for (const { reasons } of known.items) {
    const contributions = reasons?.map(({ contribution }) => contribution) ?? [];
    expect(contributions).toEqual(contributions.toSorted((a, b) => b - a));
    expect(Math.min(...contributions)).toBeGreaterThan(0);
  }
  const named = new Set(known.items.flatMap(({ reasons }) => reasons?.map(({ reason }) => reason)));
  // All that the model knows of her is one purchase.
  expect(named).toContain('bought_together');
  expect(stranger.items.every(({ reasons }) => reasons === undefined)).toBe(true);
  const shown = await send('POST', '/v1/predictions/ranker', { key: 'alice', include: ['features'] });
  expect(shown.json).toMatchObject({
    features: {
      purchases_30d: { value: 1, status: 'PRESENT' },
      items: { value: [{ item: popular[0], count: 1 }], status: 'PRESENT' },
    },
    freshness: { asOf: expect.any(Number), newestEventAt: expect.any(Number) },
  });
  await expectReasons(Shown.parse(shown.json));
});

/** Compares the reasons of the first items with the definition, by the scores of raw rows. */
async function expectReasons({
  items,
  features,
  freshness: { asOf },
}: z.output<typeof Shown>): Promise<void> {
  const snapshot = Object.fromEntries(Object.entries(features).map(([name, { value }]) => [name, value]));
  const { reasons, columns } = ranker;
  if (reasons === undefined) throw new Error('The ranker declares reasons.');
  const groups = Object.entries(reasons.groups);
  for (const { item, score, reasons: given = [] } of items.slice(0, 3)) {
    // The row is made of the features that the model declares, which the answer names alike.
    const row = rankerRow(snapshot as unknown as CustomerSnapshot, item, candidates, asOf);
    const rows = Array.from({ length: 2 ** groups.length }, (_, coalition) =>
      row.map((value, at) => {
        const group = groups.findIndex(([, of]) => of.columns.includes(columns[at] ?? ''));
        const isIn = group < 0 || ((coalition >> group) & 1) === 1;
        return isIn ? value : (reasons.baseline?.[columns[at] ?? ''] ?? 0);
      }),
    );
    const tensor = {
      name: 'features',
      datatype: 'FP32',
      shape: [rows.length, row.length],
      data: rows.flat(),
    };
    const ran = await send('POST', '/v1/predictions/ranker', { inputs: [tensor] });
    const scores = (ran.json['outputs'] as { data: number[] }[])[0]?.data ?? [];
    expect(scores.at(-1)).toBeCloseTo(score, 5);
    const wanted = shapleyByOrders(
      groups.length,
      (set) => scores[[...set].reduce((sum, group) => sum + 2 ** group, 0)] ?? Number.NaN,
    );
    const best = groups
      .map(([reason], group) => ({ reason, contribution: wanted[group] ?? 0 }))
      .filter(({ contribution }) => contribution > 0)
      .sort((a, b) => b.contribution - a.contribution)
      .slice(0, 2);
    expect(given.map(({ reason }) => reason)).toEqual(best.map(({ reason }) => reason));
    for (const [at, { contribution }] of best.entries())
      expect(given[at]?.contribution).toBeCloseTo(contribution, 5);
  }
}

it('lets whoever the version names answer new and returning customers, and says why', async () => {
  const answered = async (customer: string) => {
    const path = `/v1/customers/${customer}/recommendations`;
    const { json } = await stack.caller.ask('GET', path, { consistency: 'strong' });
    return [json['source'], json['reason'], (json['items'] as unknown[]).length > 0];
  };
  const named = async () => {
    const { json: listed } = await stack.caller.ask('GET', '/v1/models');
    const { json: shown } = await stack.caller.ask('GET', '/v1/models/ranker');
    const models = listed['models'] as { name: string; aliases: { champion: { segments: unknown } } }[];
    const versions = shown['versions'] as { version: string; segments: unknown }[];
    const champion = models.find(({ name }) => name === 'ranker')?.aliases.champion.segments;
    return { champion, versions: versions.map(({ segments }) => segments) };
  };
  expect(await answered('stranger')).toEqual(['popularity', 'new_entity', true]);
  expect(await answered('alice')).toEqual(['model', undefined, true]);
  expect(await named()).toEqual({ champion: null, versions: [null] });

  const other = { new: 'model', returning: 'popularity' } as const;
  const { version } = await publish(other);
  expect(version).not.toBe(shipped.version);
  // Nobody gets what the version before has answered.
  expect(await answered('stranger')).toEqual(['model', undefined, true]);
  expect(await answered('alice')).toEqual(['popularity', 'returning_entity', true]);
  expect(await named()).toEqual({ champion: other, versions: [other, null] });

  const claimed = { ...shipped, segments: other };
  const refused = await send('POST', '/v1/admin/models/ranker/versions', {
    ...{ manifest: claimed, golden, model: read('model.onnx').toString('base64') },
  });
  expect([refused.status, refused.json['pointer']]).toEqual([422, '/manifest/version']);
  await publish({ new: 'popularity', returning: 'model' });
  expect(await answered('stranger')).toEqual(['popularity', 'new_entity', true]);
});

it('a key with the claim of a customer reads the rows of that customer alone', async () => {
  const made = await send('POST', '/v1/admin/keys', {
    name: 'alice',
    scopes: ['data:read', 'predictions:run'],
    claims: { customer: 'alice' },
  });
  const get = async (path: string) => {
    const { status, json } = await stack.caller.as(String(made.json['key'])).ask('GET', path);
    return [status, json['code']];
  };
  for (const path of ['', '/purchases', '/recommendations']) {
    expect(await get(`/v1/customers/alice${path}`)).toEqual([200, undefined]);
    expect(await get(`/v1/customers/bob${path}`)).toEqual([403, 'outside_rows']);
  }
  expect(await get('/v3/customers/alice/purchases')).toEqual([200, undefined]);
  expect(await get('/v3/customers/bob/purchases')).toEqual([403, 'outside_rows']);
  expect(await get('/v1/customers?country=EIRE')).toEqual([403, 'rows_not_limited']);
  expect(await get('/v1/products')).toEqual([200, undefined]);
});

it('answers in the form of the examples that the catalog has of its routes', async () => {
  const folder = join(import.meta.dirname, '../../catalog');
  const { answered, wrong } = await examplesOf(stack, SHOP.catalog, folder);
  expect(wrong).toEqual([]);
  expect(answered).toEqual(expect.arrayContaining(EXAMPLES_OF));
});
