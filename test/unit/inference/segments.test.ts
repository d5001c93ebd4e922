import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidates } from '../../../src/define/candidates.ts';
import { model } from '../../../src/define/model.ts';
import { type Manifest, versionOf } from '../../../src/inference/bundle.ts';
import { rank } from '../../../src/inference/rank.ts';
import {
  answererOf,
  SEGMENT_QUERIES_MIN,
  SEGMENTS,
  type SegmentAnswerers,
  segmentOf,
} from '../../../src/inference/segments.ts';
import { customer, product } from '../../support/catalog/entities.ts';
import { purchases } from '../../support/catalog/features.ts';
import { runsOf } from '../../support/node/part.ts';

const queries = SEGMENT_QUERIES_MIN;

describe('who answers a segment', () => {
  it('is the model where it is better, and popularity where that is', () => {
    for (const segment of SEGMENTS) {
      expect(answererOf(segment, { queries, gain: { low: 0.01, high: 0.2 } })).toBe('model');
      expect(answererOf(segment, { queries, gain: { low: -0.2, high: -0.01 } })).toBe('popularity');
    }
  });

  it.each([
    ['an interval with 0 in it', { queries, gain: { low: -0.01, high: 0.4 } }],
    ['a gain of exactly 0', { queries, gain: { low: 0, high: 0 } }],
    ['too few queries', { queries: queries - 1, gain: { low: 0.2, high: 0.3 } }],
    ['too few queries that are worse', { queries: queries - 1, gain: { low: -0.3, high: -0.2 } }],
    ['no gain', { queries, gain: null }],
    ['no queries', null],
  ])('is popularity for new entities and the model for returning ones with %s', (_, found) => {
    expect(SEGMENTS.map((segment) => answererOf(segment, found))).toEqual(['popularity', 'model']);
  });

  it('is never the one that the interval says is worse', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SEGMENTS),
        fc.nat(100),
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (segment, asked, low, width) => {
          const answerer = answererOf(segment, { queries: asked, gain: { low, high: low + width } });
          const other = answererOf(segment, { queries: asked, gain: { low: -low - width, high: -low } });
          if (asked >= queries && low > 0) expect([answerer, other]).toEqual(['model', 'popularity']);
          if (asked < queries) expect(answerer).toBe(other);
        },
      ),
      { numRuns: runsOf(400) },
    );
  });

  it('is a part of the version', async () => {
    const graph = { model: { sha256: '0'.repeat(64), bytes: 1 } };
    const versions = await Promise.all([
      versionOf(graph),
      versionOf({ ...graph, segments: { new: 'popularity', returning: 'model' } }),
      versionOf({ ...graph, segments: { new: 'model', returning: 'model' } }),
    ]);
    expect(new Set(versions).size).toBe(3);
  });
});

const ITEMS = ['a', 'b', 'c'];
const CANDIDATES: Candidates = {
  has: () => true,
  popular: (limit) => ITEMS.map((item) => ({ item, score: 1 })).slice(0, limit),
  isNew: ({ lines }) => lines === 0,
  // The last item has the best row.
  assemble: ({ lines }, items = ITEMS) =>
    lines === -1 ? null : { items, rows: Float32Array.from(items, (_, at) => at) },
};

async function ranked(
  lines: number,
  segments: SegmentAnswerers | undefined,
  candidates = CANDIDATES,
  items?: readonly string[],
) {
  const definition = model.ranking({
    ...{ name: 'm', description: 'A model.', entity: customer, path: '/v1/c/{id}/r', itemEntity: product },
    ...{ columns: ['x'], features: { lines: purchases.window(30) }, parseCandidates: () => candidates },
  });
  const manifest: Manifest = {
    ...{ name: 'm', version: '0123456789ab', model: { sha256: '0'.repeat(64), bytes: 1 } },
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'v', datatype: 'FP32', shape: [-1, 1] }],
    ...{ metrics: {}, baseline: {}, trainedFrom: {} },
    ...(segments === undefined ? {} : { segments }),
  };
  const { inputs, outputs } = manifest;
  const graph = {
    inputs,
    outputs,
    run: async ({ x }: Readonly<Record<string, unknown>>) => ({ v: x }) as never,
  };
  const seen: unknown[] = [];
  const features = {
    [purchases.window(30).readName]: { value: lines, status: 'PRESENT', eventAt: 1 },
  } as const;
  const made = await rank(
    definition,
    { manifest, graph, candidates },
    { items, limit: 3, features, now: 5, watch: (row) => seen.push(row()) },
    true,
  );
  return { ...made, items: made.items.map(({ item }) => item).join(''), watched: seen.length };
}

describe('a ranking', () => {
  const byModel = { items: 'cba', source: 'model', degraded: undefined, watched: 1 };
  const popular = (reason: string) => ({
    items: 'abc',
    source: 'popularity',
    degraded: undefined,
    reason,
    watched: 0,
  });

  it('is made by whoever the version names for the segment, and says why', async () => {
    expect(await ranked(0, { new: 'popularity', returning: 'model' })).toEqual(popular('new_entity'));
    expect(await ranked(0, { new: 'model', returning: 'model' })).toEqual(byModel);
    expect(await ranked(2, { new: 'popularity', returning: 'model' })).toEqual(byModel);
    expect(await ranked(2, { new: 'model', returning: 'popularity' })).toEqual(popular('returning_entity'));
  });

  it('is made by popularity for new entities if the version does not say', async () => {
    expect(await ranked(0, undefined)).toEqual(popular('new_entity'));
    expect(await ranked(2, undefined)).toEqual(byModel);
  });

  it('is made by the model of the items that a request names', async () => {
    expect(
      await ranked(0, { new: 'popularity', returning: 'popularity' }, CANDIDATES, ['a', 'b']),
    ).toMatchObject({ items: 'ba', source: 'model' });
  });

  it('is made by popularity without rows, also if the segment is unknown', async () => {
    const { isNew: _, ...told } = CANDIDATES;
    const untold: Candidates = told;
    expect(await ranked(-1, { new: 'model', returning: 'model' }, untold)).toEqual(
      popular('nothing_to_rank_by'),
    );
    expect(await ranked(0, { new: 'popularity', returning: 'popularity' }, untold)).toEqual(byModel);
    expect([segmentOf(untold, { lines: 0 }, 1), segmentOf(CANDIDATES, { lines: 0 }, 1)]).toEqual([
      undefined,
      'new',
    ]);
  });

  it('is made by popularity, degraded, if the segment cannot be told', async () => {
    const broken = {
      ...CANDIDATES,
      isNew: () => {
        throw new Error('of the catalog');
      },
    };
    expect(await ranked(2, undefined, broken)).toMatchObject({
      source: 'popularity',
      degraded: 'model_failed',
    });
  });
});
