import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QUALITY_DIMENSIONS } from '../../../src/define/quality.ts';
import {
  gateVerdictOf,
  QUALITY_EVENTS_MIN,
  QualityReport,
  qualityReportOf,
} from '../../../src/operations/quality/report.ts';
import { addTallies, EMPTY_TALLY, type Tallies, type Tally } from '../../../src/pipeline/quality/tally.ts';
import {
  oldestKept,
  type QualityCounts,
  referenceSpanOf,
  spanOf,
  WIDTHS,
  WINDOW_NAMES,
  WINDOWS,
} from '../../../src/pipeline/quality/windows.ts';
import { catalog } from '../../support/catalog/index.ts';

const TYPE = 'shop.purchase.v1';
const countsOf = (tallies: Tallies, reference: Tallies = {}): QualityCounts => ({
  windows: { '5m': tallies, '1h': tallies, '24h': tallies, '7d': tallies },
  references: { '5m': reference, '1h': reference, '24h': reference, '7d': reference },
  totals: tallies,
});
const report = (tallies: Tallies, reference?: Tallies) =>
  qualityReportOf(countsOf(tallies, reference), catalog.eventTypes);
const judged = (dimension: (typeof QUALITY_DIMENSIONS)[number], times: number, failed: number) => ({
  dimension,
  judged: times,
  failed,
});
const tally = (events: number, rules: Tally['rules'], refused = 0): Tally => ({
  events,
  refused,
  rules,
  bins: {},
});

const anyTally = fc.integer({ min: 0, max: 400 }).chain((events) =>
  fc.record({
    events: fc.constant(events),
    refused: fc.integer({ min: 0, max: events }),
    bins: fc.constant({}),
    rules: fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'customer_missing'),
      fc.integer({ min: 0, max: events }).chain((times) =>
        fc.record({
          dimension: fc.constantFrom(...QUALITY_DIMENSIONS),
          judged: fc.constant(times),
          failed: fc.integer({ min: 0, max: times }),
        }),
      ),
      { noNullPrototype: true },
    ),
  }),
);

describe('the score', () => {
  it('is the share of passed checks for a dimension, and the mean weighted by coverage for a type', () => {
    const rules = {
      customer_missing: judged('completeness', 200, 40),
      description_missing: judged('completeness', 200, 0),
      price_not_positive: judged('validity', 200, 2),
      // Judged of a tenth of the events: it weighs a tenth.
      arrived_late: judged('timeliness', 20, 20),
    };
    const scored = report({ [TYPE]: tally(200, rules) }).windows['24h']?.types[TYPE];
    expect(scored?.dimensions.completeness).toEqual({ score: 0.9, judged: 400, failed: 40, coverage: 1 });
    expect(scored?.dimensions.timeliness).toEqual({ score: 0, judged: 20, failed: 20, coverage: 0.1 });
    expect(scored?.score).toBeCloseTo((0.9 + 0.99 + 0) / 2.1, 6);
  });

  it('is at most the share of events that were not refused, for a type', () => {
    const rules = { price_not_positive: judged('validity', 1_000, 100), a: judged('uniqueness', 9_000, 0) };
    expect(report({ [TYPE]: tally(1_000, rules, 100) }).windows['1h']?.score).toBe(0.9);
  });

  it('counts displaced values of a shifted distribution, and none without a reference', () => {
    const own = { ...tally(200, {}), bins: { country_shifted: { EIRE: 200 } } };
    const before = { ...tally(900, {}), bins: { country_shifted: { 'United Kingdom': 900 } } };
    const rule = (reference: Tallies) =>
      report({ [TYPE]: own }, reference).windows['1h']?.types[TYPE]?.rules.find(
        (one) => one.rule === 'country_shifted',
      );
    expect(rule({ [TYPE]: before })).toMatchObject({ judged: 200, failed: 200, score: 0 });
    expect(rule({ [TYPE]: before })?.shift?.status).toBe('shifted');
    expect(rule({ [TYPE]: { ...own, bins: { country_shifted: { EIRE: 900 } } } })).toMatchObject({
      ...{ judged: 200, failed: 0, shift: { status: 'stable' } },
    });
    expect(rule({})).toMatchObject({ judged: 0, score: null, shift: { status: 'insufficient_data' } });
  });
});

describe('the gate', () => {
  const good = (events: number) => tally(events, { price_not_positive: judged('validity', events, 0) });

  it('has no verdict with too few events, and fails for one bad type among many good ones', () => {
    expect(report({}).gate).toMatchObject({ verdict: 'insufficient_data', evidence: { score: null } });
    expect(report({ [TYPE]: good(QUALITY_EVENTS_MIN - 1) }).gate.verdict).toBe('insufficient_data');
    expect(report({ [TYPE]: good(QUALITY_EVENTS_MIN) }).gate.verdict).toBe('passed');
    const bad = tally(100, { price_not_positive: judged('validity', 100, 50) }, 50);
    const mixed = report({ [TYPE]: good(100_000), 'shop.return.v1': bad });
    expect(mixed.gate.evidence.score).toBeGreaterThan(0.99);
    expect(mixed.gate.verdict).toBe('failed');
  });

  it('passes at exactly 95 %, and not below', () => {
    const at = (failed: number) => tally(1_000, { a: judged('validity', 1_000, failed) }, failed);
    expect(report({ [TYPE]: at(50) }).gate.verdict).toBe('passed');
    expect(report({ [TYPE]: at(51) }).gate.verdict).toBe('failed');
  });

  it('follows from the counts that it returns, for any counts', () => {
    const types = fc.dictionary(fc.constantFrom(TYPE, 'shop.return.v1', 'gone.v1', '(others)'), anyTally, {
      noNullPrototype: true,
    });
    fc.assert(
      fc.property(types, (tallies) => {
        const told = QualityReport.parse(JSON.parse(JSON.stringify(report(tallies))));
        expect(gateVerdictOf(told.gate.evidence)).toBe(told.gate.verdict);
        const { score, events } = told.gate.evidence;
        if (events < QUALITY_EVENTS_MIN) expect(told.gate.verdict).toBe('insufficient_data');
        else if (score !== null && score < 0.95) expect(told.gate.verdict).toBe('failed');
      }),
    );
  });

  it('lists the rules of every type, also unused ones', () => {
    const { rules } = report({});
    expect(rules[TYPE]).toContainEqual({
      ...{ rule: 'quantity_not_positive', dimension: 'validity', mode: 'blocking' },
      ...{ pointer: '/data/quantity', detail: expect.stringContaining('at least 1') },
    });
    const named = (dimension: string) => rules[TYPE]?.some((rule) => rule.dimension === dimension);
    expect(QUALITY_DIMENSIONS.every(named)).toBe(true);
  });

  it('covers only the requested type', () => {
    const bad = tally(100, {}, 100);
    const counts = countsOf({ [TYPE]: good(100), 'shop.return.v1': bad });
    const told = qualityReportOf(counts, catalog.eventTypes, { type: TYPE, windows: ['5m'] });
    expect(told.gate.verdict).toBe('passed');
    expect(Object.keys(told.windows)).toEqual(['5m']);
    expect(Object.keys(told.rules)).toEqual([TYPE]);
  });
});

describe('tallies', () => {
  it('have the same sum in any order', () => {
    fc.assert(
      fc.property(anyTally, anyTally, anyTally, (a, b, c) => {
        const dimensionless = ({ events, refused, rules }: Tally) => [
          ...[events, refused],
          Object.entries(rules)
            .map(([name, { judged: times, failed }]) => [name, times, failed].join())
            .sort(),
        ];
        const left = dimensionless(addTallies(addTallies(a, b), c));
        expect(dimensionless(addTallies(c, addTallies(b, a)))).toEqual(left);
        expect(addTallies(EMPTY_TALLY, a)).toEqual(a);
      }),
    );
  });

  it('hold a bounded number of rules', () => {
    const many = Array.from({ length: 100 }, (_, n) => [`rule ${n}`, judged('validity', 1, 0)]);
    expect(Object.keys(addTallies(EMPTY_TALLY, tally(1, Object.fromEntries(many))).rules)).toHaveLength(64);
  });
});

describe('the windows', () => {
  const minute = fc.integer({ min: 20_000_000, max: 40_000_000 });

  it('cover their minutes and the bucket that has begun, and nothing of the future', () => {
    fc.assert(
      fc.property(minute, fc.constantFrom(...WINDOW_NAMES), (now, window) => {
        const { width, from, to } = spanOf(window, now);
        expect(from * width).toBeLessThanOrEqual(now - WINDOWS[window].minutes);
        expect(from * width).toBeGreaterThan(now - WINDOWS[window].minutes - width);
        expect(to).toBe(Math.floor(now / width));
      }),
    );
  });

  it('are compared with the seven days before them', () => {
    fc.assert(
      fc.property(minute, fc.constantFrom(...WINDOW_NAMES), (now, window) => {
        const own = spanOf(window, now);
        const { width, from, to } = referenceSpanOf(window, now);
        expect((to + 1) * width).toBeLessThanOrEqual(own.from * own.width);
        expect((to - from + 1) * width).toBe(7 * 1_440);
      }),
    );
  });

  it('need only buckets that are kept', () => {
    fc.assert(
      fc.property(minute, fc.constantFrom(...WINDOW_NAMES), (now, window) => {
        for (const { width, from } of [spanOf(window, now), referenceSpanOf(window, now)]) {
          const kept = WIDTHS.find((one) => one.width === width);
          expect(kept && oldestKept(kept, now)).toBeLessThanOrEqual(from);
        }
      }),
    );
  });
});
