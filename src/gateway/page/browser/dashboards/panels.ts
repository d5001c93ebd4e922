/** What is drawn of the counts: a question for each panel, and what becomes of its answer. Pure. */
import { count, duration, percent, rate } from './format.ts';
import {
  BOUNDS_MS,
  boundOf,
  bucketsOf,
  type Counts,
  type Labels,
  perSecond,
  quantileOf,
  shareOf,
  sumOf,
  sumsBy,
  totalOf,
} from './series.ts';

export const REQUESTS = 'millrace_http_requests_total';
export const REQUEST_BUCKETS = 'millrace_http_request_duration_bucket_total';
export const ANSWERS = 'millrace_cache_answers_total';
export const PEER_CALLS = 'millrace_peer_calls_total';
export const PEER_BUCKETS = 'millrace_peer_call_duration_bucket_total';
export const MODEL_RUNS = 'millrace_model_runs_total';
export const LIMITED = 'millrace_limited_total';

export interface Question {
  readonly metrics: readonly string[];
  readonly by: readonly string[];
}

/** The questions, by name: panels share their answers. */
export const QUESTIONS = {
  requests: { metrics: [REQUESTS], by: ['route', 'status'] },
  durations: { metrics: [REQUEST_BUCKETS], by: ['route', 'le'] },
  answers: { metrics: [ANSWERS], by: ['outcome', 'tier'] },
  peers: { metrics: [PEER_CALLS, PEER_BUCKETS], by: ['peer', 'outcome', 'le'] },
  models: { metrics: [MODEL_RUNS, LIMITED], by: ['model', 'tier', 'budget'] },
} satisfies Record<string, Question>;
export type QuestionName = keyof typeof QUESTIONS;
export type Answers = Readonly<Record<QuestionName, Counts>>;

/** What is shown of everything: one route, or all. */
export interface Scope {
  readonly route: string | undefined;
  readonly nowMs: number;
}

export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** The place of its colour; the same name has the same colour in each panel. */
  readonly tone: Tone;
}
export type Tone = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'good' | 'warn' | 'bad';

/** A chart over time. */
export interface Chart {
  readonly kind: 'lines' | 'stack';
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** The greatest value of the axis; that of the data unless given. */
  readonly max?: number;
}

/** How many requests took how long, in each step. */
export interface Heat {
  readonly kind: 'heat';
  /** From the shortest to the longest: a name, and the count of each step. */
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[];
}

export interface Panel {
  readonly id: string;
  readonly title: string;
  /** What it says, and how it is counted. */
  readonly hint: string;
  readonly of: QuestionName;
  readonly draw: (counts: Counts, scope: Scope) => Chart | Heat;
}

const TONES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

const ofRoute =
  ({ route }: Scope) =>
  (labels: Labels): boolean =>
    route === undefined || labels['route'] === route;

/** `2xx` for 200. */
export function classOf(status: string): string {
  return `${status.charAt(0)}xx`;
}

const CLASS_TONES: Readonly<Record<string, Tone>> = {
  '1xx': 'f',
  '2xx': 'good',
  '3xx': 'a',
  '4xx': 'warn',
  '5xx': 'bad',
};

export const TRAFFIC: Panel = {
  id: 'traffic',
  title: 'Requests per second',
  hint: 'By class of status, as the isolates counted them.',
  of: 'requests',
  draw: (counts, scope) => {
    const fits = ofRoute(scope);
    const own = { ...counts, series: counts.series.filter(({ labels }) => fits(labels)) };
    const classes = [...sumsBy(own, REQUESTS, ({ status = '' }) => classOf(status))].sort();
    return {
      kind: 'stack',
      format: rate,
      lines: classes.map(([name, values]) => ({
        name,
        values: perSecond(counts, values, scope.nowMs),
        tone: CLASS_TONES[name] ?? 'f',
      })),
    };
  },
};

export const ERRORS: Panel = {
  id: 'errors',
  title: 'Failed requests',
  hint: 'The share of answers with a status of 500 or above. Refused requests (4xx) are the sender’s.',
  of: 'requests',
  draw: (counts, scope) => {
    const fits = ofRoute(scope);
    const all = sumOf(counts, REQUESTS, fits);
    const failed = sumOf(counts, REQUESTS, (labels) => fits(labels) && isFailure(labels));
    return {
      kind: 'lines',
      format: percent,
      lines: [{ name: 'failed', values: shareOf(failed, all), tone: 'bad' }],
    };
  },
};

/** Routes of those who operate the deployment: how long they take is no promise to users. */
const OF_OPERATORS = /^\/(v1\/(admin|training|quality|lineage|inventory)|metrics|dashboards|health)(\/|$)/;

export function isOfUsers({ route = '' }: Labels): boolean {
  return !OF_OPERATORS.test(route);
}

export function isFailure({ status = '' }: Labels): boolean {
  return status >= '500';
}

export const LATENCY: Panel = {
  id: 'latency',
  title: 'Latency',
  hint: 'How many requests took how long, from their arrival to the head of the answer. Darker is more.',
  of: 'durations',
  draw: (counts, scope) => {
    const fits = ofRoute(scope);
    const bounds = [...BOUNDS_MS, Number.POSITIVE_INFINITY];
    return {
      kind: 'heat',
      rows: bounds.map((bound) => ({
        name: bound === Number.POSITIVE_INFINITY ? '> 10 s' : `≤ ${duration(bound).replace('.0', '')}`,
        values: sumOf(
          counts,
          REQUEST_BUCKETS,
          (labels) => fits(labels) && boundOf(labels['le'] ?? '') === bound,
        ),
      })),
    };
  },
};

const SOURCES: readonly (readonly [name: string, tone: Tone, fits: (labels: Labels) => boolean])[] = [
  ['memory', 'good', ({ tier }) => tier === 'memory'],
  ['colo', 'a', ({ tier }) => tier === 'colo'],
  ['kv', 'b', ({ tier }) => tier === 'kv'],
  ['collapsed', 'c', ({ outcome }) => outcome === 'collapsed'],
  ['origin', 'warn', ({ outcome }) => outcome === 'miss'],
  ['stand-in', 'bad', ({ outcome }) => outcome === 'stand_in'],
];

export const SOURCE_OF_ANSWERS: Panel = {
  id: 'cache',
  title: 'What answered cached reads',
  hint: 'A tier of the cache, the database (origin), another request’s read (collapsed), or an old answer while the database is away (stand-in).',
  of: 'answers',
  draw: (counts, { nowMs }) => ({
    kind: 'stack',
    format: rate,
    lines: SOURCES.flatMap(([name, tone, fits]) => {
      const values = sumOf(counts, ANSWERS, fits);
      return totalOf(values) === 0 ? [] : [{ name, tone, values: perSecond(counts, values, nowMs) }];
    }),
  }),
};

export function isHit({ outcome = '' }: Labels): boolean {
  return outcome === 'hit' || outcome === 'stale';
}

export const HIT_RATIO: Panel = {
  id: 'hit-ratio',
  title: 'Hit ratio',
  hint: 'Answers from a tier of the cache over all answers to cached reads.',
  of: 'answers',
  draw: (counts) => ({
    kind: 'lines',
    format: percent,
    max: 1,
    lines: [
      { name: 'hits', tone: 'good', values: shareOf(sumOf(counts, ANSWERS, isHit), sumOf(counts, ANSWERS)) },
    ],
  }),
};

export const PEERS: Panel = {
  id: 'peers',
  title: 'Calls of services',
  hint: 'Calls per second of the database, of objects and of the platform’s services. The six with the most calls.',
  of: 'peers',
  draw: (counts, { nowMs }) => ({
    kind: 'lines',
    format: rate,
    lines: [...sumsBy(counts, PEER_CALLS, ({ peer = '' }) => peer)]
      .slice(0, TONES.length)
      .map(([name, values], at) => ({
        name,
        values: perSecond(counts, values, nowMs),
        tone: TONES[at] ?? 'f',
      })),
  }),
};

export const MODELS: Panel = {
  id: 'models',
  title: 'Runs of models',
  hint: 'Per second, by model and by what computed them: the evaluator or the ONNX runtime.',
  of: 'models',
  draw: (counts, { nowMs }) => ({
    kind: 'stack',
    format: rate,
    lines: [...sumsBy(counts, MODEL_RUNS, ({ model = '', tier = '' }) => `${model}, ${tier}`)]
      .slice(0, TONES.length)
      .map(([name, values], at) => ({
        name,
        values: perSecond(counts, values, nowMs),
        tone: TONES[at] ?? 'f',
      })),
  }),
};

/** A row of the table of routes, those with the most requests first. */
export interface RouteRow {
  readonly route: string;
  readonly requests: number;
  readonly failed: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

export function routeRows({ requests, durations }: Pick<Answers, 'requests' | 'durations'>): RouteRow[] {
  return [...sumsBy(requests, REQUESTS, ({ route = '' }) => route)].map(([route, values]) => {
    const buckets = bucketsOf(durations, REQUEST_BUCKETS, (labels) => labels['route'] === route);
    return {
      route,
      requests: totalOf(values),
      failed: totalOf(sumOf(requests, REQUESTS, (labels) => labels['route'] === route && isFailure(labels))),
      p50: quantileOf(buckets, 0.5),
      p99: quantileOf(buckets, 0.99),
    };
  });
}

export interface PeerRow {
  readonly peer: string;
  readonly calls: number;
  /** Calls that failed or took too long. */
  readonly failed: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

export function peerRows(counts: Counts): PeerRow[] {
  return [...sumsBy(counts, PEER_CALLS, ({ peer = '' }) => peer)].map(([peer, values]) => {
    const own = (labels: Labels) => labels['peer'] === peer;
    const buckets = bucketsOf(counts, PEER_BUCKETS, own);
    return {
      peer,
      calls: totalOf(values),
      failed: totalOf(sumOf(counts, PEER_CALLS, (labels) => own(labels) && labels['outcome'] !== 'ok')),
      p50: quantileOf(buckets, 0.5),
      p99: quantileOf(buckets, 0.99),
    };
  });
}

/** A panel in words, for readers who do not see it. */
export function summaryOf(drawn: Chart | Heat): string {
  if (drawn.kind === 'heat') {
    const busiest = drawn.rows.toSorted((a, b) => totalOf(b.values) - totalOf(a.values))[0];
    const all = totalOf(drawn.rows.map(({ values }) => totalOf(values)));
    if (busiest === undefined || all === 0) return 'No requests.';
    return `${count(all)} requests; most took ${busiest.name}.`;
  }
  const parts = drawn.lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    const last = known.at(-1);
    return last === undefined
      ? `${name}: nothing`
      : `${name}: ${drawn.format(last)} now, at most ${drawn.format(Math.max(...known))}`;
  });
  return parts.length === 0 ? 'Nothing was counted.' : `${parts.join('; ')}.`;
}
