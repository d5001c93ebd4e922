import { objectiveName } from '../../src/operations/alerts/evaluation.ts';
import type { CountHistory } from '../../src/operations/alerts/history.ts';
import type { WatchRules } from '../../src/operations/alerts/watch.ts';
import type { Incident } from '../../src/operations/incidents/incident.ts';

/** Bad and all events of each objective from a moment to a minute. The counts of the first minute are in it as a whole. */
export function impactIn(
  history: CountHistory,
  { measured, minuteMs }: WatchRules,
  sinceMs: number,
  minute: number,
): NonNullable<Incident['impact']> {
  // An alert fires some minutes after its cause: what happened since then belongs to it.
  const minutes = Math.max(1, minute - Math.floor(sinceMs / minuteMs) + BEFORE_MINUTES);
  return Object.fromEntries(
    measured.map(({ objective: { name } }) => [name, history.within(objectiveName(name), minutes, minute)]),
  );
}

const BEFORE_MINUTES = 5;
