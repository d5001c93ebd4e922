import type { CounterSample } from '../../platform/counters.ts';
import { PEER_CALLS } from '../../platform/peer.ts';
import { CACHE_ANSWERS, CACHE_FILLS } from '../hit-ratio.ts';
import { REQUEST_DURATIONS, REQUESTS } from '../requests.ts';
import { median } from './trends.ts';

/**
 * Whether a route has become slower, or an answer more expensive, than before. The newest values are compared with earlier
 * ones by their ranks alone, so the rate of false alarms follows from no assumption on their distribution: if all values
 * could have come in any order, the chance that the newest `NEWEST` exceed all of n earlier ones is 1 in C(n + 3, 3). Values
 * of one hour resemble each other, so the newest must also exceed the largest by a margin.
 */

/** A value stands for so many minutes. */
export const VALUE_MINUTES = 15;
const NEWEST = 3;
/** The last day is left out of the comparison, so that a regression is shown for a day before it is what is usual. */
const DAY_VALUES = 96;
/** Earlier values that are compared: those of the seven days before. */
export const EARLIER_VALUES = 7 * DAY_VALUES;
/** Values that are kept. */
export const KEPT_VALUES = EARLIER_VALUES + DAY_VALUES + NEWEST;
/** With fewer earlier values there is no verdict: by 1 in 156,849, a false alarm. */
const EARLIER_MIN = DAY_VALUES;
/** The newest values exceed the largest earlier one by this factor: values of one hour resemble each other, so the order alone is not chance. */
const MARGIN = 1.1;
/** A change that nobody notices is none: this factor of the median. */
const FACTOR_MIN = 1.2;
/** With fewer events a value would be chance. */
const EVENTS_MIN = 30;
/** The most series. */
const SERIES_MAX = 300;

/** Events, and what they took: milliseconds, calls of a service, or reads of the origin. */
export type Spent = readonly [events: number, amount: number];

/** By name: `GET /v1/products` in milliseconds, `view product` in fills, `service database` in calls for a request. */
export type SpentByName = ReadonlyMap<string, Spent>;

/** What has been spent in total. Requests of `/v1/admin` are left out. */
export function spentIn(totals: readonly CounterSample[]): Map<string, Spent> {
  const spent = new Map<string, [number, number]>();
  const add = (name: string, events: number, amount: number) => {
    const known = spent.get(name);
    if (known === undefined && spent.size >= SERIES_MAX) return;
    spent.set(name, [(known?.[0] ?? 0) + events, (known?.[1] ?? 0) + amount]);
  };
  let requests = 0;
  for (const { name, labels, value } of totals) {
    const { method = '', route = '', view = '', peer = '' } = labels;
    if ((name === REQUESTS || name === REQUEST_DURATIONS.sum) && route.startsWith('/v1/admin/')) continue;
    if (name === REQUESTS) {
      requests += value;
      add(`${method} ${route}`, value, 0);
    } else if (name === REQUEST_DURATIONS.sum) add(`${method} ${route}`, 0, value);
    else if (name === CACHE_ANSWERS) add(`view ${view}`, value, 0);
    else if (name === CACHE_FILLS) add(`view ${view}`, 0, value);
    else if (name === PEER_CALLS) add(`service ${peer}`, 0, value);
  }
  for (const name of spent.keys()) if (name.startsWith('service ')) add(name, requests, 0);
  return spent;
}

/** What was spent between two totals, of what has events. */
export function spentSince(before: SpentByName, now: SpentByName): Map<string, Spent> {
  return new Map(
    [...now].flatMap(([name, [events, amount]]): [string, Spent][] => {
      const [knownEvents, knownAmount] = before.get(name) ?? [events, amount];
      const since: Spent = [Math.max(0, events - knownEvents), Math.max(0, amount - knownAmount)];
      return since[0] === 0 ? [] : [[name, since]];
    }),
  );
}

/** What has become slower or more expensive. */
export interface Regression {
  readonly name: string;
  /** What it is compared with: its own last days, or the time before the newest deploy. */
  readonly against: 'days' | 'deploy';
  /** The median of the earlier and of the newest values, of one event. */
  readonly before: number;
  readonly now: number;
  /** One in so many comparisons is a false alarm, if the order of values is chance. */
  readonly oneIn: number;
}

/**
 * @param values by bucket of `VALUE_MINUTES`, the oldest first.
 * @param deployBucket the bucket of the newest deploy; undefined if it is not known.
 */
export function regressionsIn(
  values: readonly { readonly bucket: number; readonly spent: SpentByName }[],
  deployBucket: number | undefined,
): Regression[] {
  const names = new Set(values.slice(-NEWEST).flatMap(({ spent }) => [...spent.keys()]));
  return [...names].flatMap((name) => {
    const own = values.flatMap(({ bucket, spent }) => {
      const [events, amount] = spent.get(name) ?? [0, 0];
      return events < EVENTS_MIN ? [] : [{ bucket, value: amount / events }];
    });
    const newest = own.slice(-NEWEST);
    const [first] = newest;
    if (newest.length < NEWEST || first === undefined) return [];
    const recent = newest.map(({ value }) => value);
    const valuesOf = (isEarlier: (bucket: number) => boolean) =>
      own.filter(({ bucket }) => isEarlier(bucket)).map(({ value }) => value);
    const found = (against: Regression['against'], earlier: readonly number[]) => {
      const regression = regressionOf(earlier.slice(-EARLIER_VALUES), recent);
      return regression === undefined ? [] : [{ name, against, ...regression }];
    };
    const days = valuesOf((bucket) => bucket <= first.bucket - DAY_VALUES);
    const isAfter = deployBucket !== undefined && first.bucket > deployBucket;
    const beforeDeploy = isAfter ? valuesOf((bucket) => bucket < deployBucket) : [];
    return [...found('days', days), ...found('deploy', beforeDeploy.slice(-DAY_VALUES))];
  });
}

function regressionOf(
  earlier: readonly number[],
  recent: readonly number[],
): Omit<Regression, 'name' | 'against'> | undefined {
  if (earlier.length < EARLIER_MIN) return undefined;
  const most = earlier.reduce((max, value) => Math.max(max, value), 0);
  const [before, now] = [median(earlier), median(recent)];
  if (recent.some((value) => value <= MARGIN * most) || now < FACTOR_MIN * before) return undefined;
  const n = earlier.length;
  return { before, now, oneIn: Math.round(((n + 3) * (n + 2) * (n + 1)) / 6) };
}
