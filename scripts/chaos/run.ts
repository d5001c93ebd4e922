import { setTimeout as sleep } from 'node:timers/promises';
import { count, like } from 'drizzle-orm';
import * as z from 'zod';
import type { Random } from '../../src/platform/random.ts';
import { purchases } from '../../test/support/catalog/tables.ts';
import { judgeHistory } from '../../test/support/coherence/judge.ts';
import { besideSamples } from '../../test/support/peers/standstill.ts';
import { ask } from '../verify/client.ts';
import { History } from '../verify/history.ts';
import { compareEvents, type EventFindings, isSettled, type Settled } from './events-ledger.ts';
import type { EndOfFault, Experiment } from './experiment.ts';
import { type Answered, judge, recoveredAfterMs, usualShare } from './judgement.ts';
import { Load, type Shape } from './load.ts';
import { statedForAll } from './operations.ts';
import type { ChaosStack } from './stack.ts';
import { type Seen, type Slowest, type Verdict, verdictOf } from './verdict.ts';

/** So long the steady state has to last before the load ends, in milliseconds. */
const STEADY_MS = 2_000;
/** The load ends then, whether the steady state is reached or not; in milliseconds after the end of the fault. */
const RECOVERY_MS_MAX = 45_000;
const LOOK_MS = 250;
/** Queued events wait longer after each retry. */
const SETTLED_MS_MAX = 120_000;

const Features = z.object({
  results: z.array(
    z.object({ key: z.string(), features: z.record(z.string(), z.object({ value: z.number().nullable() })) }),
  ),
});
const COUNTED = 'purchases_365d';

/** What is needed to run experiments one after the other. */
export interface Runs {
  readonly stack: ChaosStack;
  readonly random: Random;
  readonly shape: Shape;
  /** Of each phase: before the fault, during it, and after it at least. */
  readonly seconds: number;
}

export interface Result {
  readonly experiment: Pick<Experiment, 'name' | 'hypothesis'> & { readonly fault: string };
  readonly seen: Omit<Seen, 'answers'>;
  readonly verdict: Verdict;
  /** Warnings and errors that the worker has logged meanwhile, by message. */
  readonly logged: readonly (readonly [message: string, times: number])[];
}

export async function runExperiment(
  { stack, random, shape, seconds }: Runs,
  experiment: Experiment,
): Promise<Result> {
  const { name, hypothesis, fault } = experiment;
  const history = new History();
  const load = new Load(stack, history, random, name);
  await load.prepare();
  const loggedBefore = new Map(stack.logged);
  const ending = new AbortController();
  let current = shape;
  const working = load.run(() => current, ending.signal);
  // A defect of this program ends the run; it is thrown where the load is waited for.
  working.catch(() => ending.abort());
  const slowestMs: Record<keyof Slowest, number> = { before: 0, during: 0, after: 0 };
  let evidence: string | undefined;
  const sampled = async (phase: keyof Slowest, run: () => Promise<unknown>) => {
    const isolates = Array.from({ length: stack.edges }, (_, isolate) => isolate);
    const live = () =>
      Promise.all(
        isolates.map((isolate) =>
          ask(stack.urlOf(isolate, '/health/live'), { headers: stack.headersOf(isolate) }),
        ),
      );
    slowestMs[phase] = (await besideSamples(live, run))[1];
  };
  try {
    await sampled('before', () => sleep(seconds * 1_000));
    const faultMs = performance.now();
    let end: EndOfFault | undefined;
    try {
      await sampled('during', async () => {
        end = await fault.begin(stack);
        current = fault.load?.(shape, stack) ?? shape;
        const whole = sleep(seconds * 1_000 * (fault.lasts ?? 1));
        evidence = await fault.evidence?.(stack);
        await whole;
      });
    } finally {
      await end?.();
    }
    current = shape;
    const endOfFaultMs = performance.now();
    await sampled('after', () => untilSteady(load, { faultMs, endOfFaultMs, seconds }, experiment));
    const endOfLoadMs = performance.now();
    ending.abort();
    await working;
    await load.settle();
    const settled = await settle(stack, load, name);
    await load.readEverything();
    const seen = {
      answers: load.answers,
      timeline: { faultMs, endOfFaultMs, endOfLoadMs },
      slowestMs,
      violations: judgeHistory(history.allWrites(), history.reads),
      ...settled,
      acknowledgedEvents: load.events.filter(({ isAcknowledged }) => isAcknowledged).length,
      ...{ unsent: load.unsent, evidence },
    };
    const { answers: _all, ...kept } = seen;
    return {
      experiment: { name, hypothesis, fault: fault.what },
      seen: kept,
      verdict: verdictOf(seen, experiment),
      logged: [...stack.logged]
        .map(([message, times]) => [message, times - (loggedBefore.get(message) ?? 0)] as const)
        .filter(([, times]) => times > 0),
    };
  } finally {
    ending.abort();
    await working.catch(() => undefined);
  }
}

/** Returns once the steady state has lasted for a while, or does not come. */
async function untilSteady(
  { answers }: Load,
  { faultMs, endOfFaultMs, seconds }: { faultMs: number; endOfFaultMs: number; seconds: number },
  { fault }: Experiment,
): Promise<void> {
  const stated = statedForAll(fault.peers);
  const rate = (answered: Answered) =>
    [answered, judge(answered, stated(answered.operation), Number.POSITIVE_INFINITY)] as const;
  const before = answers.filter(({ begunMs, afterMs }) => begunMs + afterMs <= faultMs);
  const share = usualShare(before.map((answered) => rate(answered)[1]));
  // Answers are in the order in which they came, so those of requests that begin from now on come later.
  const first = answers.length;
  for (;;) {
    await sleep(LOOK_MS);
    const untilMs = performance.now();
    const elapsedMs = untilMs - endOfFaultMs;
    if (elapsedMs > RECOVERY_MS_MAX) return;
    if (elapsedMs < seconds * 1_000) continue;
    const rated = answers.slice(first).map(rate);
    const recoveredMs = recoveredAfterMs(rated, { fromMs: endOfFaultMs, untilMs, share });
    if (recoveredMs !== undefined && elapsedMs - recoveredMs >= STEADY_MS) return;
  }
}

/** Waits until every acknowledged event is stored and counted. */
async function settle(
  stack: ChaosStack,
  load: Load,
  name: string,
): Promise<{ readonly events: EventFindings; readonly settledAfterMs: number | undefined }> {
  const begunMs = performance.now();
  for (;;) {
    const events = compareEvents(load.events, await settledNow(stack, load.customers, name));
    const afterMs = performance.now() - begunMs;
    if (isSettled(events)) return { events, settledAfterMs: Math.round(afterMs) };
    if (afterMs > SETTLED_MS_MAX) return { events, settledAfterMs: undefined };
    await sleep(LOOK_MS);
  }
}

async function settledNow(stack: ChaosStack, customers: readonly string[], name: string): Promise<Settled> {
  const rows = await stack.database.db
    .select({ id: purchases.invoice, rows: count() })
    .from(purchases)
    .where(like(purchases.invoice, `${name}-%`))
    .groupBy(purchases.invoice);
  const asked = { entity: 'customer', keys: customers, features: [COUNTED] };
  const { body } = await stack.request(0, 'POST', '/v1/features/read', asked);
  const { results } = Features.parse(body);
  return {
    rows: new Map(rows.map((row) => [row.id, row.rows])),
    counted: new Map(results.map(({ key, features }) => [key, features[COUNTED]?.value ?? 0])),
  };
}
