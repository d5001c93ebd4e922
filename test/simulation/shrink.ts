import type { NetworkFaults } from './network.ts';
import { run } from './run.ts';
import type { Plan, Step } from './steps.ts';

/** Runs that a shrinking may take: each takes some hundredths of a second. */
const RUNS_MAX = 400;
const CALM: NetworkFaults = {
  loss: 0,
  silence: 0,
  late: 0,
  lateMsMax: 200,
  rootMsMax: 60,
  pushLoss: 0,
  doubling: 0,
};

/**
 * A plan that still fails and has few steps: delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
 * Failure-Inducing Input", IEEE TSE 28(2), 2002), by leaving out ever smaller parts.
 */
export async function shrink(failing: Plan): Promise<Plan> {
  let runs = 0;
  const stillFails = async (plan: Plan): Promise<boolean> => {
    runs += 1;
    if (runs > RUNS_MAX) return false;
    const { violations, refusals } = await run(plan);
    return violations.length + refusals.length > 0;
  };
  let best = failing;
  for (const network of [CALM, { ...best.network, loss: 0, silence: 0 }, { ...best.network, late: 0 }]) {
    const calmer = { ...best, network };
    if (await stillFails(calmer)) best = calmer;
  }
  for (let size = Math.ceil(best.steps.length / 2); size >= 1 && runs <= RUNS_MAX; ) {
    const smaller = await withoutSome(best, size, stillFails);
    if (smaller === undefined) size = size === 1 ? 0 : Math.ceil(size / 2);
    else best = smaller;
  }
  return best;
}

async function withoutSome(
  plan: Plan,
  size: number,
  stillFails: (plan: Plan) => Promise<boolean>,
): Promise<Plan | undefined> {
  let { steps } = plan;
  for (let from = 0; from < steps.length; ) {
    const fewer: Step[] = [...steps.slice(0, from), ...steps.slice(from + size)];
    if (await stillFails({ ...plan, steps: fewer })) steps = fewer;
    else from += size;
  }
  return steps.length < plan.steps.length ? { ...plan, steps } : undefined;
}
