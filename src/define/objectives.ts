import type { DURATION_BOUNDS_MS } from '../platform/durations.ts';

/** What an objective counts, and which part of it is good. Everything is counted at `GET /metrics` (docs/operations.md). */
export type Indicator =
  /** Requests; one that was answered with 5xx is bad. */
  | ({ readonly of: 'requests' } & Routes)
  /** Requests; one whose answer began later is bad. `withinMs` is a bound of the histogram: `DURATION_BOUNDS_MS`. */
  | ({ readonly of: 'durations'; readonly withinMs: (typeof DURATION_BOUNDS_MS)[number] } & Routes)
  /** Answers to reads of cached routes; one that did not come from a tier is bad. */
  | { readonly of: 'cache_hits' }
  /** The same answers; one for which the cache was not used, because its clock did not answer, is bad. */
  | { readonly of: 'cache_uptime' }
  /** Answers that the probe compared with the origin; an inconsistent one is bad. */
  | { readonly of: 'consistency' }
  /** Checks of quality rules on single events; a failed one is bad. */
  | { readonly of: 'quality' }
  /** Checks, one a minute for each stage, whether the pipeline keeps up; one that finds it behind is bad. */
  | { readonly of: 'stream_checks'; readonly stages?: readonly ('clock' | 'outbox' | 'queue')[] };

/** The requests that count. Those of `/v1/admin` count only if they are named: an operator's report may take long. */
interface Routes {
  readonly methods?: readonly string[];
  /** Paths as `/openapi.json` has them. */
  readonly routes?: readonly string[];
}

/** A promise to users: the share of good events over 30 days. */
export interface Objective {
  /** Lower case, with underscores: a label of metrics and a part of the name of an alert. */
  readonly name: string;
  readonly description: string;
  /** The share of good events, above 0 and below 1. */
  readonly target: number;
  readonly indicator: Indicator;
}

/** The objectives of a deployment whose catalog states none. */
export const DEFAULT_OBJECTIVES: readonly Objective[] = [
  {
    name: 'availability',
    description: 'Requests are answered without an error of the server.',
    target: 0.999,
    indicator: { of: 'requests' },
  },
  {
    name: 'read_latency',
    description: 'Reads are answered within 100 ms.',
    target: 0.99,
    indicator: { of: 'durations', withinMs: 100, methods: ['GET'] },
  },
  {
    name: 'prediction_latency',
    description: 'Predictions are answered within 100 ms, by the model or by what stands in for it.',
    target: 0.99,
    indicator: { of: 'durations', withinMs: 100, routes: ['/v1/predictions/{model}'] },
  },
  {
    name: 'cache_uptime',
    description: 'The cache can be used: its clock answers.',
    target: 0.999,
    indicator: { of: 'cache_uptime' },
  },
  {
    name: 'hit_ratio',
    description: 'Reads are answered from the cache.',
    target: 0.7,
    indicator: { of: 'cache_hits' },
  },
  {
    name: 'freshness',
    description: 'Answers from the cache are those of the database, within the bound of their view.',
    target: 0.999,
    indicator: { of: 'consistency' },
  },
  {
    name: 'commit_freshness',
    description: 'Commits of the database are invalidated within 30 s, whoever made them.',
    target: 0.99,
    indicator: { of: 'stream_checks', stages: ['clock'] },
  },
  {
    name: 'streaming',
    description:
      'Streaming keeps up: no change waits in the outbox for 30 s, and no message in a queue for a minute.',
    target: 0.99,
    indicator: { of: 'stream_checks', stages: ['outbox', 'queue'] },
  },
  {
    name: 'quality',
    description: 'Events pass the rules of their type.',
    target: 0.95,
    indicator: { of: 'quality' },
  },
];
