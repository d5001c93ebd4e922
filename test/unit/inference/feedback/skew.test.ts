import { describe, expect, it } from 'vitest';
import type { FeatureRow } from '../../../../src/define/feature-value.ts';
import { model } from '../../../../src/define/model.ts';
import { fromFeature } from '../../../../src/define/model-input.ts';
import { featuresAsOf, type RecordedEvent } from '../../../../src/features/point-in-time.ts';
import type { Manifest } from '../../../../src/inference/bundle.ts';
import { recordOf, type ServedRecord } from '../../../../src/inference/feedback/record.ts';
import { type SkewPorts, sampledRecords, skewOf } from '../../../../src/inference/feedback/skew.ts';
import type { LoadedModel } from '../../../../src/inference/loaded-models.ts';
import { usedFeatures } from '../../../../src/inference/row.ts';
import { customer } from '../../../support/catalog/entities.ts';
import { lastPurchase, purchases } from '../../../support/catalog/features.ts';
import { answerOf, recordWith } from '../../../support/feedback/answers.ts';

const DAY_MS = 86_400_000;
const AT = Date.UTC(2026, 10, 23, 12);
const FEATURES = [purchases, lastPurchase];
const spend = model.regression({
  ...{ name: 'spend', description: 'A model.', entity: customer, outputs: { value: 'y' } },
  inputs: {
    x: {
      columns: {
        purchases: fromFeature(purchases.window(30), { default: 0 }),
        days: fromFeature(lastPurchase.ageDays(), { default: 100 }),
      },
    },
  },
});
const SIGNATURES = {
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1, 1] }],
};
const MANIFEST: Manifest = {
  ...{ name: 'spend', version: 'v1', model: { sha256: '0'.repeat(64), bytes: 1 }, ...SIGNATURES },
  ...{ metrics: {}, baseline: {}, trainedFrom: {} },
};
/** Answers ten for a purchase, and one less for a day since the last one. */
const MODEL: LoadedModel = {
  ...{ manifest: MANIFEST, candidates: undefined },
  graph: {
    ...SIGNATURES,
    run: async ({ x }) => {
      const [bought = 0, days = 0] = Array.from(x?.data ?? [], Number);
      return { y: { datatype: 'FP32', shape: [1, 1], data: Float32Array.of(10 * bought - days) } };
    },
  },
};

/** A purchase that was stored some time before the answer. */
const bought = (seq: number, beforeMs: number, storedBeforeMs = beforeMs): RecordedEvent => ({
  ...{ seq, type: 'shop.purchase.v1', occurredAt: AT - beforeMs, recordedAt: AT - storedBeforeMs },
  data: {
    ...{ customerId: 'ada', sku: 'a', invoice: `${seq}`, quantity: 1, unitPrice: 1, country: 'UK' },
  },
});
const HISTORY = [bought(1, 40 * DAY_MS), bought(2, 20 * DAY_MS), bought(3, DAY_MS), bought(4, 2_000)];

const rowOf = (events: readonly RecordedEvent[], at = AT): FeatureRow =>
  usedFeatures(
    spend,
    featuresAsOf(FEATURES, events, { entity: 'customer', key: 'ada', at, known: Number.MAX_SAFE_INTEGER }),
  );

/** What was served, of these features. */
async function servedOf(features: FeatureRow, value?: number): Promise<ServedRecord> {
  const count = Number(features['purchases_30d']?.value ?? 0);
  const days = (AT - Number(features['last_purchase_at']?.value ?? AT)) / DAY_MS;
  const answer = { value: value ?? 10 * count - days };
  return await recordOf({
    ...answerOf({ model: 'spend', at: AT, features, answer, input: {} }),
    items: null,
  });
}

const ports = (changes: Partial<SkewPorts> = {}): SkewPorts => ({
  features: FEATURES,
  events: async () => HISTORY,
  load: async () => MODEL,
  ...changes,
});

describe('a served answer', () => {
  it('that its history gives is a match, with the events that it is of', async () => {
    expect(await skewOf(await servedOf(rowOf(HISTORY)), spend, ports())).toEqual({
      ...{ id: 'p-1', at: new Date(AT).toISOString(), version: 'v1', verdict: 'match', why: null },
      ...{ events: 4, newestEvent: 4 },
    });
  });

  it('from before a recent event was folded is a match, without that event', async () => {
    const found = await skewOf(await servedOf(rowOf(HISTORY.slice(0, 3))), spend, ports());
    expect(found).toMatchObject({ verdict: 'match', events: 3, newestEvent: 3 });
  });

  it('is a match whichever of the recent events had been folded', async () => {
    const recent = [bought(4, 4_000), bought(5, 3_000), bought(6, 2_000)];
    const events = [...HISTORY.slice(0, 3), ...recent];
    const first = events.filter(({ seq }) => seq !== 5);
    const found = await skewOf(await servedOf(rowOf(first)), spend, ports({ events: async () => events }));
    expect(found).toMatchObject({ verdict: 'match', events: 5, newestEvent: 6 });
  });

  it('does not count what was stored afterwards', async () => {
    const events = [...HISTORY, bought(5, 1_000, -60_000)];
    const found = await skewOf(await servedOf(rowOf(HISTORY)), spend, ports({ events: async () => events }));
    expect(found).toMatchObject({ verdict: 'match', events: 4 });
  });

  it('is not of an event that happened afterwards, although the clocks would let it be stored before', async () => {
    const events = [...HISTORY, bought(5, -500, -1_000)];
    const found = await skewOf(await servedOf(rowOf(HISTORY)), spend, ports({ events: async () => events }));
    expect(found).toMatchObject({ verdict: 'match', events: 4, newestEvent: 4 });
  });

  it.each([
    { what: 'lost an event of long ago', row: rowOf([...HISTORY.slice(0, 2), ...HISTORY.slice(3)]) },
    { what: 'counted an event twice', row: rowOf([...HISTORY, { ...bought(9, DAY_MS) }]) },
    { what: 'read its windows a day late', row: rowOf(HISTORY, AT + 15 * DAY_MS) },
    { what: 'gave a count that is one too small', row: withCount(rowOf(HISTORY), 2) },
  ])('of a store that $what is a mismatch', async ({ row }) => {
    const found = await skewOf(await servedOf(row), spend, ports());
    expect(found).toMatchObject({ verdict: 'mismatch', why: 'features_differ' });
  });

  it('whose features are right and whose answer is not is a mismatch', async () => {
    const found = await skewOf(await servedOf(rowOf(HISTORY), 29.9), spend, ports());
    expect(found).toMatchObject({ verdict: 'mismatch', why: 'answer_differs', events: 4 });
  });

  it('that cannot be computed again is unknown, with the reason', async () => {
    const record = await servedOf(rowOf(HISTORY));
    const wrong = await servedOf(rowOf([]));
    const many = Array.from({ length: 2_000 }, (_, seq) => bought(seq, DAY_MS));
    const recent = Array.from({ length: 9 }, (_, seq) => bought(seq, 1_000));
    const cases = [
      ['not_recomputable', await skewOf(record, spend, ports({ events: async () => undefined }))],
      ['not_recomputable', await skewOf(record, spend, ports({ features: [purchases] }))],
      ['not_recomputable', await skewOf({ ...record, source: 'previous' }, spend, ports())],
      ['too_many_events', await skewOf(record, spend, ports({ events: async () => many }))],
      [
        'too_many_recent_events',
        await skewOf(wrong, spend, ports({ events: async () => [...HISTORY.slice(0, 3), ...recent] })),
      ],
      ['version_gone', await skewOf(record, spend, ports({ load: async () => undefined }))],
    ] as const;
    for (const [why, found] of cases) expect(found).toMatchObject({ verdict: 'unknown', why });
  });
});

it('is sampled by its id, of its model, if a version has made it of features', () => {
  const features = { digest: 'd', newestEventAt: null };
  const records = Array.from({ length: 20 }, (_, at) => recordWith({ id: `p-${at}`, features }));
  const others = [
    recordWith({ model: 'mood', features }),
    recordWith({ source: 'popularity', features }),
    recordWith({ degraded: 'model_failed', features }),
    recordWith({ features: null }),
  ];
  const sampled = sampledRecords([...others, ...records], 'ranker', 5);
  expect(sampled).toHaveLength(5);
  expect(sampledRecords(records.toReversed(), 'ranker', 5)).toEqual(sampled);
  expect(sampledRecords(others, 'ranker', 5)).toEqual([]);
});

function withCount(row: FeatureRow, value: number): FeatureRow {
  const { purchases_30d: count } = row;
  return count === undefined ? row : { ...row, purchases_30d: { ...count, value } };
}
