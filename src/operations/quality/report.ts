import * as z from 'zod';
import type { EventDefinition } from '../../define/event.ts';
import { QUALITY_DIMENSIONS, type QualityDimension } from '../../define/quality.ts';
import { BUILT_IN_RULES } from '../../pipeline/quality/assess.ts';
import { EMPTY_TALLY, type Tallies, type Tally } from '../../pipeline/quality/tally.ts';
import { type QualityCounts, WINDOW_NAMES, type WindowName } from '../../pipeline/quality/windows.ts';
import { shiftOf } from './shift.ts';

/** The quality gate: the score must be at least this. */
export const QUALITY_GATE = 0.95;
/** With fewer events the gate has no verdict. */
export const QUALITY_EVENTS_MIN = 100;
/** The window of the gate: a whole day, so that every hour of the day counts. */
export const QUALITY_GATE_WINDOW: WindowName = '24h';

/** Scores are rounded to a millionth, and the gate judges the rounded score. */
const SCORE_SCALE = 1_000_000;

const Score = z.number().min(0).max(1);
const Verdict = z.enum(['passed', 'failed', 'insufficient_data']);

const DimensionScore = z.object({
  /** The share of passed checks. For a distribution, each displaced value counts as a failed check. */
  score: Score,
  judged: z.int(),
  failed: z.int(),
  /**
   * The share of the type's events that its most applied rule has judged. It weights the dimension in the type's score.
   */
  coverage: Score,
});
const Dimensions = z.partialRecord(z.enum(QUALITY_DIMENSIONS), DimensionScore);

const RuleScore = z.object({
  rule: z.string(),
  dimension: z.enum(QUALITY_DIMENSIONS),
  judged: z.int(),
  failed: z.int(),
  /** Null if it could not be judged. */
  score: Score.nullable(),
  shift: z
    .object({
      status: z.enum(['stable', 'shifted', 'insufficient_data']),
      psi: z.number().nullable(),
      limit: z.number().nullable(),
      values: z.int(),
      referenceValues: z.int(),
      bins: z.array(z.object({ bin: z.string(), values: z.int(), referenceValues: z.int() })),
    })
    .optional(),
});

const TypeScore = z.object({
  events: z.int(),
  /** The events that were quarantined. */
  refused: z.int(),
  /**
   * The mean of the dimensions, each weighted with its coverage, but at most the share of events that were not refused.
   * Without that cap, many rules could outweigh one that refuses half of the events.
   */
  score: Score.nullable(),
  verdict: Verdict,
  dimensions: Dimensions,
  /** The rules that have judged events, and the distributions that have values. */
  rules: z.array(RuleScore),
});
type TypeScore = z.output<typeof TypeScore>;

const Gate = z.object({
  window: z.enum(WINDOW_NAMES),
  /** `passed` if the total score and the scores of all types with enough events are at least the threshold. */
  verdict: Verdict,
  threshold: Score,
  eventsMin: z.int(),
  /** The figures from which the verdict is derived. */
  evidence: z.object({
    events: z.int(),
    /** The mean of the types, each weighted with its events. */
    score: Score.nullable(),
    types: z.record(z.string(), TypeScore.omit({ rules: true })),
  }),
});

const WindowScore = z.object({
  events: z.int(),
  refused: z.int(),
  score: Score.nullable(),
  gate: Gate,
  /** Over all types. */
  dimensions: z.partialRecord(z.enum(QUALITY_DIMENSIONS), DimensionScore.omit({ coverage: true })),
  types: z.record(z.string(), TypeScore),
});

/** A rule as it is declared. */
const DeclaredRule = z.object({
  rule: z.string(),
  dimension: z.enum(QUALITY_DIMENSIONS),
  mode: z.enum(['blocking', 'scoring']),
  pointer: z.string(),
  detail: z.string(),
});

/** The answer of `GET /v1/quality`. */
export const QualityReport = z.object({
  /** Always over the last 24 hours, independent of the requested windows. */
  gate: Gate,
  windows: z.partialRecord(z.enum(WINDOW_NAMES), WindowScore),
  /** The declared rules of each event type, including rules that have judged no events. */
  rules: z.record(z.string(), z.array(DeclaredRule)),
});
export type QualityReport = z.output<typeof QualityReport>;
export type QualityGate = z.output<typeof Gate>;
type WindowScore = z.output<typeof WindowScore>;

/**
 * Computes scores from counts for each requested window, and whether the gate holds.
 *
 * @param type the one event type to report, or undefined for all.
 */
export function qualityReportOf(
  counts: QualityCounts,
  catalog: ReadonlyMap<string, EventDefinition>,
  { type, windows = WINDOW_NAMES }: { type?: string | undefined; windows?: readonly WindowName[] } = {},
): QualityReport {
  const only = (tallies: Tallies): Tallies => {
    if (type === undefined) return tallies;
    const tally = tallies[type];
    return tally === undefined ? {} : { [type]: tally };
  };
  const scored = (window: WindowName) =>
    windowScoreOf(window, only(counts.windows[window]), counts.references[window], catalog);
  return {
    gate: scored(QUALITY_GATE_WINDOW).gate,
    windows: Object.fromEntries(windows.map((window) => [window, scored(window)])),
    rules: Object.fromEntries(
      [...catalog.values()]
        .filter((definition) => type === undefined || definition.type === type)
        .map((definition) => [definition.type, declaredRules(definition)]),
    ),
  };
}

/** The verdict for a number of events and their score. */
export function verdictOf({
  events,
  score,
}: {
  events: number;
  score: number | null;
}): z.output<typeof Verdict> {
  if (events < QUALITY_EVENTS_MIN || score === null) return 'insufficient_data';
  return score >= QUALITY_GATE ? 'passed' : 'failed';
}

/** The verdict of a gate, computed from the counts in its evidence alone. */
export function gateVerdictOf({ types }: QualityGate['evidence']): z.output<typeof Verdict> {
  const scores = Object.values(types).map((type) => ({
    events: type.events,
    score: typeScoreOf(type),
  }));
  const all = verdictOf(overallOf(scores));
  return all === 'passed' && scores.some((type) => verdictOf(type) === 'failed') ? 'failed' : all;
}

function windowScoreOf(
  window: WindowName,
  tallies: Tallies,
  references: Tallies,
  catalog: ReadonlyMap<string, EventDefinition>,
): WindowScore {
  const types = Object.fromEntries(
    Object.entries(tallies).map(([type, tally]) => {
      return [type, typeScore(tally, references[type] ?? EMPTY_TALLY, catalog.get(type))];
    }),
  );
  const { events, score } = overallOf(Object.values(types));
  const evidence = {
    events,
    score,
    types: Object.fromEntries(Object.entries(types).map(([type, { rules: _, ...scored }]) => [type, scored])),
  };
  const rules = Object.values(types).flatMap((scored) => scored.rules);
  const dimensions = Object.fromEntries(
    Object.entries(dimensionsOf(rules, events)).map(([dimension, { coverage: _, ...scored }]) => [
      dimension,
      scored,
    ]),
  );
  const gate = {
    window,
    verdict: gateVerdictOf(evidence),
    threshold: QUALITY_GATE,
    eventsMin: QUALITY_EVENTS_MIN,
    evidence,
  };
  const refused = Object.values(types).reduce((sum, type) => sum + type.refused, 0);
  return { events, refused, score, gate, dimensions, types };
}

function typeScore(tally: Tally, reference: Tally, definition: EventDefinition | undefined): TypeScore {
  const rules = rulesOf(tally, reference, definition);
  const { events, refused } = tally;
  const dimensions = dimensionsOf(rules, events);
  const score = typeScoreOf({ events, refused, dimensions });
  return { events, refused, score, verdict: verdictOf({ events, score }), dimensions, rules };
}

function declaredRules({ quality }: EventDefinition): z.output<typeof DeclaredRule>[] {
  const { eventRules, storedRules, distributions } = quality;
  return [...BUILT_IN_RULES, ...eventRules, ...storedRules, ...distributions].map(
    ({ name: rule, dimension, mode, pointer, detail }) => ({ rule, dimension, mode, pointer, detail }),
  );
}

function rulesOf(
  tally: Tally,
  reference: Tally,
  definition: EventDefinition | undefined,
): TypeScore['rules'] {
  const judged = Object.entries(tally.rules).map(([name, { dimension, ...counts }]) =>
    ruleScore(name, dimension, counts),
  );
  const distributions = (definition?.quality.distributions ?? []).flatMap((rule) => {
    const own = tally.bins[rule.name];
    if (own === undefined) return [];
    const before = reference.bins[rule.name] ?? {};
    const { displaced, ...shift } = shiftOf(rule.bins, rule.psiMax, own, before);
    const values = shift.status === 'insufficient_data' ? 0 : shift.values;
    const bins = rule.bins.map((bin) => ({
      bin,
      values: own[bin] ?? 0,
      referenceValues: before[bin] ?? 0,
    }));
    const scored = ruleScore(rule.name, rule.dimension, { judged: values, failed: displaced });
    return [{ ...scored, shift: { ...shift, bins } }];
  });
  return [...judged, ...distributions];
}

function ruleScore(
  rule: string,
  dimension: QualityDimension,
  { judged, failed }: { readonly judged: number; readonly failed: number },
): TypeScore['rules'][number] {
  return { rule, dimension, judged, failed, score: judged === 0 ? null : rounded(1 - failed / judged) };
}

function dimensionsOf(rules: TypeScore['rules'], events: number): TypeScore['dimensions'] {
  const groups = Map.groupBy(
    rules.filter(({ judged }) => judged > 0),
    ({ dimension }) => dimension,
  );
  const scored = [...groups].map(([dimension, own]): [QualityDimension, z.output<typeof DimensionScore>] => {
    const judged = own.reduce((sum, rule) => sum + rule.judged, 0);
    const failed = own.reduce((sum, rule) => sum + rule.failed, 0);
    const most = Math.max(...own.map((rule) => rule.judged));
    const coverage = rounded(Math.min(1, most / Math.max(1, events)));
    return [dimension, { score: rounded(1 - failed / judged), judged, failed, coverage }];
  });
  return Object.fromEntries(scored);
}

/** Computes the score from the counts alone. */
function typeScoreOf({
  events,
  refused,
  dimensions,
}: Pick<TypeScore, 'events' | 'refused' | 'dimensions'>): number | null {
  const all = Object.values(dimensions);
  const weight = all.reduce((sum, { coverage }) => sum + coverage, 0);
  if (events === 0 || weight === 0) return null;
  const sum = all.reduce(
    (total, { judged, failed, coverage }) => total + coverage * (1 - failed / judged),
    0,
  );
  return rounded(Math.min(sum / weight, 1 - refused / events));
}

function overallOf(types: readonly { readonly events: number; readonly score: number | null }[]): {
  readonly events: number;
  readonly score: number | null;
} {
  const events = types.reduce((sum, type) => sum + type.events, 0);
  const sum = types.reduce((total, type) => total + type.events * (type.score ?? 0), 0);
  return { events, score: events === 0 ? null : rounded(sum / events) };
}

function rounded(score: number): number {
  return Math.round(score * SCORE_SCALE) / SCORE_SCALE;
}
