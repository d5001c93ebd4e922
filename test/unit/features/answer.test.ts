import { describe, expect, it } from 'vitest';
import { assemble } from '../../../src/define/catalog.ts';
import { feature } from '../../../src/define/feature.ts';
import type { FeatureValue } from '../../../src/define/feature-value.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { answerOf } from '../../../src/features/answer.ts';
import * as features from '../../support/catalog/features.ts';
import { catalog } from '../../support/catalog/index.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const { orderShare, unitsTrend, purchases, units } = features;
const present = (value: number, ageMs: number): FeatureValue => ({
  value,
  status: 'PRESENT',
  eventAt: NOW - ageMs,
});
const absent: FeatureValue = { value: 0, status: 'NOT_FOUND', eventAt: null };
const asked = (names: readonly string[], maxAgeMs?: number, orderMinor = 50) => ({
  names,
  now: NOW,
  maxAgeMs,
  derived: [orderShare, unitsTrend],
  requests: new Map([['order_share', { orderMinor }]]),
});

describe('an answer', () => {
  it('has the age of each value, and none that is older than the request allows', () => {
    const row = { a: present(1, 5_000), b: present(2, 5_001), c: absent };
    expect(answerOf(row, asked(['b', 'a', 'c', 'd'], 5_000))).toEqual({
      b: { value: null, status: 'OUTSIDE_MAX_AGE', eventAt: NOW - 5_001, ageMs: 5_001 },
      a: { value: 1, status: 'PRESENT', eventAt: NOW - 5_000, ageMs: 5_000 },
      c: { value: 0, status: 'NOT_FOUND', eventAt: null, ageMs: null },
    });
    expect(answerOf({ a: present(1, -100) }, asked(['a'], 0))['a']).toMatchObject({ value: 1, ageMs: 0 });
  });

  it('derives values that are as old as their oldest input', () => {
    const row = { units_7d: present(3, 10), units_30d: present(12, 900), spend_minor_90d: present(200, 0) };
    expect(answerOf(row, asked(['units_trend', 'order_share']))).toEqual({
      units_trend: { value: 0.25, status: 'PRESENT', eventAt: NOW - 900, ageMs: 900 },
      order_share: { value: 0.25, status: 'PRESENT', eventAt: NOW, ageMs: 0 },
    });
    expect(answerOf(row, asked(['units_trend'], 500))['units_trend']).toEqual({
      value: null,
      status: 'OUTSIDE_MAX_AGE',
      eventAt: NOW - 900,
      ageMs: 900,
    });
  });

  it('derives no value from nothing, and none that is not a number', () => {
    const none = { units_7d: absent, units_30d: absent };
    expect(answerOf(none, asked(['units_trend']))['units_trend']?.status).toBe('NOT_FOUND');
    const zero = { units_7d: present(0, 1), units_30d: present(0, 1) };
    expect(answerOf(zero, asked(['units_trend']))['units_trend']?.status).toBe('NULL_VALUE');
    const huge = { spend_minor_90d: present(5e-324, 1) };
    expect(answerOf(huge, asked(['order_share'], undefined, 1e300))['order_share']).toMatchObject({
      value: null,
      status: 'NULL_VALUE',
    });
  });
});

describe('a derived feature', () => {
  const problems = (more: object) => {
    const { entities, events, histories } = catalog;
    const modules = {
      ...Object.fromEntries([...entities, ...events, ...histories].map((one, at) => [`d${at}`, one])),
    };
    return validateCatalog(assemble({ things: { ...modules, purchases, units, ...more } })).map(
      ({ problem }) => problem,
    );
  };
  const ofUnits = { name: 'of_units', of: units.window(7), to: units.window(30) };

  it('has a name of its own, and inputs that the catalog has, of its own entity', () => {
    expect(problems({ fine: feature.ratio(ofUnits) })).toEqual([]);
    expect(problems({ twice: feature.ratio({ ...ofUnits, name: 'units_7d' }) })).toEqual([
      expect.stringMatching(/has this read name of "product" already/),
    ]);
    const elsewhere = { ...feature.ratio(ofUnits), entity: purchases.entity };
    expect(problems({ elsewhere })[0]).toMatch(/is a feature of "product", and not of "customer"/);
    const gone = feature.ratio({ ...ofUnits, to: { ...units.window(30), readName: 'units_9d' } });
    expect(problems({ gone })).toEqual(['Its input "units_9d" is not in the catalog.']);
  });
});
