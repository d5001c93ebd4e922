/** The numbers at the top of a dashboard. Pure: they are made of answers, and say where they come from. */
import { memberOf } from '../answers.ts';
import { listOf, textOf } from '../registry.ts';
import { bytes, count, duration, percent, rate } from './format.ts';
import {
  ANSWERS,
  type Answers,
  isFailure,
  isHit,
  isOfUsers,
  LIMITED,
  PEER_BUCKETS,
  PEER_CALLS,
  REQUEST_BUCKETS,
  REQUESTS,
} from './panels.ts';
import { bucketsOf, perSecond, quantileOf, sumOf, totalOf } from './series.ts';

/** How a number stands against its objective. */
export type State = 'good' | 'warn' | 'bad' | 'unknown';

export interface Tile {
  readonly label: string;
  readonly value: string;
  /** What the number is of, and what is asked of it. */
  readonly note: string;
  readonly state: State;
  /** The panel with its series: the name of a dashboard, and an id on it. */
  readonly more?: { readonly tab: 'executive' | 'technical' | 'operational'; readonly id: string };
}

/** Reports of other routes; undefined for one that did not answer. */
export interface Reports {
  readonly alerts?: unknown;
  readonly quality?: unknown;
  readonly cache?: unknown;
  readonly pipeline?: unknown;
  readonly ready?: unknown;
  readonly features?: unknown;
  readonly training?: unknown;
}

/** The promises of the product, where the catalog declares no objective of its own. */
const AVAILABILITY = 0.999;
const HIT_RATIO = 0.7;
const LATENCY_MS = 100;
const QUALITY = 0.95;

const stateOf = (isKept: boolean): State => (isKept ? 'good' : 'bad');

export function availabilityTile({ requests }: Answers): Tile {
  const all = totalOf(sumOf(requests, REQUESTS, isOfUsers));
  const failed = totalOf(sumOf(requests, REQUESTS, (labels) => isOfUsers(labels) && isFailure(labels)));
  return {
    label: 'Availability',
    value: all === 0 ? '–' : percent(1 - failed / all),
    note:
      all === 0
        ? 'No requests in this time.'
        : `${count(failed)} of ${count(all)} requests of users failed. Asked: ${percent(AVAILABILITY)}.`,
    state: all === 0 ? 'unknown' : stateOf(1 - failed / all >= AVAILABILITY),
    more: { tab: 'technical', id: 'errors' },
  };
}

export function latencyTile({ durations }: Answers): Tile {
  const buckets = bucketsOf(durations, REQUEST_BUCKETS, isOfUsers);
  const [p50, p99] = [quantileOf(buckets, 0.5), quantileOf(buckets, 0.99)];
  return {
    label: 'Latency, p99',
    value: p99 === null ? '–' : duration(p99),
    note:
      p50 === null
        ? 'No requests in this time.'
        : `Of the routes that users call. Half took at most ${duration(p50)}. Asked: ${LATENCY_MS} ms.`,
    state: p99 === null ? 'unknown' : stateOf(p99 <= LATENCY_MS),
    more: { tab: 'technical', id: 'latency' },
  };
}

export function hitRatioTile({ answers }: Answers): Tile {
  const all = totalOf(sumOf(answers, ANSWERS));
  const hits = totalOf(sumOf(answers, ANSWERS, isHit));
  return {
    label: 'Hit ratio',
    value: all === 0 ? '–' : percent(hits / all),
    note:
      all === 0
        ? 'No cached read in this time.'
        : `${count(hits)} of ${count(all)} cached reads. Asked: ${percent(HIT_RATIO)}.`,
    state: all === 0 ? 'unknown' : stateOf(hits / all >= HIT_RATIO),
    more: { tab: 'technical', id: 'hit-ratio' },
  };
}

/** What the cache saved: reads of the database that were not made, and the time that they would have taken. */
export function savedTile({ answers, peers }: Answers): Tile {
  const hits = totalOf(sumOf(answers, ANSWERS, isHit));
  const calls = totalOf(sumOf(peers, PEER_CALLS, ({ peer }) => peer === 'database'));
  const typical = quantileOf(
    bucketsOf(peers, PEER_BUCKETS, ({ peer }) => peer === 'database'),
    0.5,
  );
  return {
    label: 'Reads that the database was spared',
    value: count(hits),
    note:
      typical === null || typical === Number.POSITIVE_INFINITY
        ? 'Each hit of the cache is one. No call of the database was counted to compare with.'
        : `The database answered ${count(calls)} calls. At its median of ${duration(typical)}, the hits spared it ${duration(hits * typical)} of work.`,
    state: 'unknown',
    more: { tab: 'technical', id: 'cache' },
  };
}

export function trafficTile({ requests }: Answers, nowMs: number): Tile {
  const rates = perSecond(requests, sumOf(requests, REQUESTS), nowMs);
  const now = rates.at(-1) ?? rates.at(-2) ?? null;
  return {
    label: 'Requests per second',
    value: now === null ? '–' : rate(now),
    note: `In the present step. ${count(totalOf(sumOf(requests, REQUESTS)))} requests in the whole time.`,
    state: 'unknown',
    more: { tab: 'technical', id: 'traffic' },
  };
}

export function limitedTile({ models }: Answers): Tile {
  const limited = totalOf(sumOf(models, LIMITED));
  return {
    label: 'Refused by limits',
    value: count(limited),
    note: 'Requests whose sender had used up its budget.',
    state: limited === 0 ? 'good' : 'warn',
  };
}

export function qualityTile({ quality }: Reports): Tile {
  const gate = memberOf(quality, 'gate');
  const evidence = memberOf(gate, 'evidence');
  const [score, events] = [memberOf(evidence, 'score'), memberOf(evidence, 'events')];
  const verdict = textOf(gate, 'verdict');
  return {
    label: 'Quality of events',
    value: typeof score === 'number' ? percent(score) : '–',
    note:
      verdict === 'insufficient_data' || typeof events !== 'number'
        ? 'Too few events for a verdict.'
        : `Of ${count(events)} events, window ${textOf(gate, 'window')}. Asked: more than ${percent(QUALITY)}.`,
    state: verdict === 'passed' ? 'good' : verdict === 'failed' ? 'bad' : 'unknown',
    more: { tab: 'operational', id: 'quarantine' },
  };
}

export function alertsTile({ alerts }: Reports): Tile {
  const firing = listOf(alerts, 'alerts').filter(
    (alert) => textOf(alert, 'state') === 'firing' && memberOf(alert, 'inhibitedBy') === null,
  );
  if (alerts === undefined)
    return { label: 'Alerts', value: '–', note: 'The alerts did not answer.', state: 'unknown' };
  return {
    label: 'Alerts',
    value: count(firing.length),
    note:
      firing.length === 0 ? 'None is firing.' : firing.map((alert) => textOf(alert, 'alertname')).join(', '),
    state: firing.length === 0 ? 'good' : 'bad',
    more: { tab: 'operational', id: 'alerts' },
  };
}

/** One tile for each objective of the catalog: the budget of errors that is left. */
export function objectiveTiles({ alerts }: Reports): Tile[] {
  return listOf(alerts, 'objectives').map((objective) => {
    const budget = memberOf(objective, 'budget');
    const [left, all] = [memberOf(budget, 'left'), memberOf(budget, 'all')];
    const target = memberOf(objective, 'target');
    const asked = typeof target === 'number' ? ` Asked: ${percent(target)}.` : '';
    return {
      label: `Budget: ${textOf(objective, 'name')}`,
      value: typeof left === 'number' ? (left < 0 ? 'overspent' : percent(left)) : '–',
      note: `${textOf(objective, 'description')}${asked} ${typeof all === 'number' ? `${count(all)} events in 30 days.` : ''}`,
      state: typeof left !== 'number' ? 'unknown' : left <= 0 ? 'bad' : left < LEFT_LOW ? 'warn' : 'good',
      more: { tab: 'operational', id: 'alerts' },
    };
  });
}
const LEFT_LOW = 0.25;

export function pipelineTiles({ pipeline }: Reports): Tile[] {
  const pending = memberOf(memberOf(pipeline, 'outbox'), 'pending');
  const stored = memberOf(memberOf(pipeline, 'events'), 'stored');
  const quarantine = Object.values(Object(memberOf(pipeline, 'quarantine'))).map(Number);
  const number = (value: unknown) => (typeof value === 'number' ? count(value) : '–');
  return [
    { label: 'Events stored', value: number(stored), note: 'In the history, in all.', state: 'unknown' },
    {
      label: 'Changes that wait',
      value: number(pending),
      note: 'In the outbox: stored, and not relayed yet.',
      state: typeof pending !== 'number' ? 'unknown' : pending < PENDING_MANY ? 'good' : 'warn',
    },
    {
      label: 'In quarantine',
      value: pipeline === undefined ? '–' : count(totalOf(quarantine)),
      note: 'Events that were refused, and are open.',
      state: pipeline === undefined ? 'unknown' : totalOf(quarantine) === 0 ? 'good' : 'warn',
      more: { tab: 'operational', id: 'quarantine' },
    },
  ];
}
const PENDING_MANY = 1_000;

export function featuresTile({ features }: Reports): Tile {
  const versions = listOf(features, 'features').filter((of) => textOf(of, 'state') !== 'retired');
  const ready = versions.filter((of) => textOf(of, 'state') === 'ready');
  return {
    label: 'Features ready',
    value: features === undefined ? '–' : `${ready.length} of ${versions.length}`,
    note:
      ready.length === versions.length
        ? 'Each is read with its events.'
        : 'The others are being built from history.',
    state: features === undefined ? 'unknown' : ready.length === versions.length ? 'good' : 'warn',
  };
}

export function isolatesTile({ cache }: Reports): Tile {
  const isolates = memberOf(cache, 'isolates');
  const [active, memory] = [memberOf(isolates, 'active'), memberOf(isolates, 'memoryBytes')];
  return {
    label: 'Isolates',
    value: typeof active === 'number' ? count(active) : '–',
    note: typeof memory === 'number' ? `Their caches in memory have ${bytes(memory)}.` : 'None has reported.',
    state: 'unknown',
  };
}

export function consistencyTile({ cache }: Reports): Tile {
  const hour = memberOf(memberOf(cache, 'consistency'), '60');
  const [samples, inconsistent] = [memberOf(hour, 'samples'), memberOf(hour, 'inconsistent')];
  if (typeof samples !== 'number' || typeof inconsistent !== 'number' || samples === 0)
    return {
      label: 'Consistency',
      value: '–',
      note: 'No hit was compared with the database in the last hour.',
      state: 'unknown',
    };
  return {
    label: 'Consistency',
    value: inconsistent === 0 ? 'no fault' : `${count(inconsistent)} faults`,
    note: `${count(samples)} hits of the last hour were compared with the database.`,
    state: inconsistent === 0 ? 'good' : 'bad',
  };
}

export function readyTile({ ready }: Reports): Tile {
  const status = textOf(ready, 'status');
  const failing = Object.entries(Object(memberOf(ready, 'checks')))
    .filter(([, state]) => state !== 'ok')
    .map(([name]) => name);
  return {
    label: 'Dependencies',
    value: status === '' ? '–' : failing.length === 0 ? 'all answer' : `${failing.length} fail`,
    note: failing.length === 0 ? 'Database, clock and the others of a fresh answer.' : failing.join(', '),
    state: status === '' ? 'unknown' : stateOf(failing.length === 0),
    more: { tab: 'technical', id: 'peers' },
  };
}

export function trainingTile({ training }: Reports): Tile {
  const runs = listOf(training, 'runs');
  const under = runs.filter((run) => memberOf(run, 'endedAt') === null);
  const [latest] = runs;
  return {
    label: 'Training runs',
    value: training === undefined ? '–' : under.length === 0 ? 'none now' : `${under.length} now`,
    note:
      latest === undefined
        ? 'None has run yet.'
        : `The latest, of ${textOf(latest, 'model')}: ${textOf(latest, 'state')}.`,
    state: textOf(latest, 'state') === 'failed' ? 'warn' : 'unknown',
    more: { tab: 'operational', id: 'training' },
  };
}
