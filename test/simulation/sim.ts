/**
 * The seeded simulation: `npm run sim -- --seeds N [--seed S] [--jobs J] [--brief]`. Runs the seeds S to S + N - 1 (from 1)
 * on all cores. Of the first seed that fails, the steps are reduced to few and what happened is printed, or with
 * `--brief` its number alone; the exit code is then 1.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { planOf } from './plan.ts';
import { run } from './run.ts';
import { shrink } from './shrink.ts';
import type { SeedReport } from './sim-worker.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    brief: { type: 'boolean', default: false },
  },
});
const seeds = integer('seeds', values.seeds);
const first = integer('seed', values.seed);
const jobs = Math.min(integer('jobs', values.jobs), seeds);

/** The rules log what they do without; here that is the ordinary case, and a run has thousands of lines of it. */
const print = console.log;
for (const level of ['log', 'warn', 'error'] as const) console[level] = () => undefined;

const total = { reads: 0, hits: 0, unanswered: 0, acknowledged: 0, seeds: 0 };
let failed: number | undefined;
let next = first;
const startedAt = performance.now();
await Promise.all(Array.from({ length: jobs }, runSeeds));
const seconds = (performance.now() - startedAt) / 1_000;
print(
  `${total.seeds} seeds from ${first} in ${seconds.toFixed(1)} s: ${total.reads} reads judged, ` +
    `${total.hits} of them hits, ${total.unanswered} requests without an answer, ` +
    `${total.acknowledged} acknowledged versions.`,
);
if (failed === undefined)
  print(
    'Every read kept its promise, and no acknowledged write was lost; what could be answered was answered.',
  );
else await explain(failed);

/** Hands one seed after the other to a thread, until none is left or one has failed. */
async function runSeeds(): Promise<void> {
  const worker = new Worker(new URL('./sim-worker.ts', import.meta.url));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = () => {
    if (failed !== undefined || next >= first + seeds) return resolve();
    worker.postMessage(next);
    next += 1;
  };
  worker.on('error', reject);
  worker.on('message', (report: SeedReport) => {
    total.seeds += 1;
    for (const name of ['reads', 'hits', 'unanswered', 'acknowledged'] as const) total[name] += report[name];
    if (report.violations > 0) failed = Math.min(failed ?? report.seed, report.seed);
    ask();
  });
  ask();
  await promise;
  await worker.terminate();
}

async function explain(seed: number): Promise<void> {
  process.exitCode = 1;
  if (values.brief) return print(`Seed ${seed} breaks a promise.`);
  const plan = await shrink(planOf(seed));
  const { violations, refusals, trace } = await run(plan, true);
  const [violation] = violations;
  const [refusal] = refusals;
  const again = `To see it again: npm run sim -- --seeds 1 --seed ${seed}`;
  if (violation === undefined) {
    if (refusal === undefined) throw new Error(`Seed ${seed} fails in a thread and not here.`);
    const { rule: broken, what, begunMs, endedMs: until } = refusal;
    print(`\nSeed ${seed} breaks the rule "${broken}", here with ${plan.steps.length} steps:\n`);
    for (const line of trace) if (Number.parseInt(line, 10) <= Math.ceil(until)) print(line);
    print(`\nThe read from ${Math.round(begunMs)} to ${Math.round(until)} ms, ${what} (${broken}).`);
    return print(again);
  }
  const { rule, owed, read } = violation;
  print(`\nSeed ${seed} breaks the rule "${rule}", here with ${plan.steps.length} steps:\n`);
  const endedMs = read.ended.ms;
  for (const line of trace) if (Number.parseInt(line, 10) <= Math.ceil(endedMs)) print(line);
  print(
    `\n${read.note}: the read from ${Math.round(read.begun.ms)} to ${Math.round(endedMs)} ms showed ${read.dep} ` +
      `${read.shown === 'absent' ? 'as absent' : `v${read.shown}`} and was owed v${owed} (${rule}).`,
  );
  print(again);
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`--${name} is a whole number above 0, not "${text}".`);
}
