import type { AlertEvent } from '../../../src/operations/alerts/alerts.ts';
import { CountHistory } from '../../../src/operations/alerts/history.ts';
import type { Silence } from '../../../src/operations/alerts/silences.ts';
import {
  NOTHING_WATCHED,
  stepWatch,
  type WatchRules,
  type WatchState,
} from '../../../src/operations/alerts/watch.ts';
import type { CounterSample } from '../../../src/platform/counters.ts';

/** A counter with its total at each minute, from minute 0 on. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly totals: readonly number[];
}

/** What one evaluation found. */
export interface Evaluated {
  readonly minute: number;
  readonly state: WatchState;
  readonly events: readonly AlertEvent[];
}

/** Evaluates each minute of the series, as the object does. `undefined` totals: the counts could not be read. */
export function evaluate(
  rules: WatchRules,
  series: readonly Series[],
  minutes: number,
  {
    silences = [],
    isDown = () => false,
  }: { silences?: readonly Silence[]; isDown?: (minute: number) => boolean } = {},
): Evaluated[] {
  const history = new CountHistory();
  let state: WatchState = NOTHING_WATCHED;
  let ids = 0;
  return Array.from({ length: minutes + 1 }, (_, minute) => {
    const totals: CounterSample[] | undefined = isDown(minute)
      ? undefined
      : series.map(({ name, labels, totals: values }) => ({ name, labels, value: values[minute] ?? 0 }));
    const newId = () => {
      ids += 1;
      return `alert-${ids}`;
    };
    const step = stepWatch(state, history, rules, { minute, totals, silences, newId });
    state = step.state;
    return { minute, state, events: step.events };
  });
}

/** Totals that rise by so much in each minute. */
export function rising(minutes: number, by: (minute: number) => number): number[] {
  const totals = [0];
  for (let minute = 1; minute <= minutes; minute += 1) totals.push((totals.at(-1) ?? 0) + by(minute));
  return totals;
}
