import type { Outcome } from './run.ts';
import type { FaultRates, PlannedRequest, Schedule } from './schedule.ts';

/** Runs that a shrinking may take: each takes some tenths of a second. */
const RUNS_MAX = 200;
/** Steps of all those runs together. A run has some hundred; one that does not end has 30,001, and then ten are tried. */
const STEPS_MAX = 300_000;

/** A schedule that still fails, with fewer faults, kinds of faults, requests and events. */
export async function shrink(
  failing: Schedule,
  run: (schedule: Schedule) => Promise<Outcome>,
): Promise<Schedule> {
  let best = failing;
  let runs = 0;
  let steps = 0;
  const isSpent = () => runs >= RUNS_MAX || steps >= STEPS_MAX;
  const improve = async (smaller: Schedule): Promise<boolean> => {
    if (isSpent()) return false;
    const outcome = await run(smaller);
    runs += 1;
    steps += outcome.steps;
    if (outcome.violations.length === 0) return false;
    best = smaller;
    return true;
  };
  for (let before: Schedule | undefined; before !== best && !isSpent(); ) {
    before = best;
    await improve({ ...best, garbage: false, attemptsBefore: 0 });
    for (const kind of Object.keys(best.faults) as (keyof FaultRates)[])
      if (best.faults[kind] > 0) await improve({ ...best, faults: { ...best.faults, [kind]: 0 } });
    for (const part of [0.25, 0.5, 0.9])
      if (best.faultsMax > 0 && (await improve({ ...best, faultsMax: Math.floor(best.faultsMax * part) })))
        break;
    for (const requests of smallerRequests(best.requests)) if (await improve({ ...best, requests })) break;
  }
  return best;
}

/** With one request or one event less, or half of the requests. */
function* smallerRequests(requests: readonly PlannedRequest[]): Generator<readonly PlannedRequest[]> {
  const half = Math.ceil(requests.length / 2);
  if (requests.length > 2) {
    yield requests.slice(0, half);
    yield requests.slice(half);
  }
  for (const [at, request] of requests.entries()) {
    yield requests.toSpliced(at, 1);
    for (const index of request.events.keys()) {
      if (request.events.length > 1)
        yield requests.with(at, { ...request, events: request.events.toSpliced(index, 1) });
    }
  }
}
