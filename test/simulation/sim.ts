/**
 * The seeded simulation: `npm run sim -- [--seeds N] [--seed S] [--jobs J] [--brief]`. Runs the seeds S to S + N - 1 (from 1)
 * on all cores. Of the first seed that fails, the steps are reduced to few and what happened is printed, or with
 * `--brief` its number alone; the exit code is then 1.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { readOptions } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../scripts/command-line/values.ts';
import { planOf } from './plan.ts';
import { run } from './run.ts';
import { shrink } from './shrink.ts';
import type { SeedReport } from './sim-worker.ts';

const USAGE = `Usage: npm run sim -- [--seeds 1000] [--seed 1] [--jobs N] [--brief]

  --seeds N   how many seeds are run (1000)
  --seed S    the first of them (1)
  --jobs J    threads (one for each core)
  --brief     of a seed that fails, print its number alone`;

/** What the console prints with. The rules log what they do without; here that is the ordinary case, and is dropped. */
const print = console.log;

const total = { reads: 0, hits: 0, unanswered: 0, acknowledged: 0, seeds: 0 };
let failed: number | undefined;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run sim',
    options: {
      seeds: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      brief: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(USAGE);
  const seeds = wholeNumberOf('--seeds', values.seeds, { min: 1 });
  const first = wholeNumberOf('--seed', values.seed, { min: 1 });
  const jobs = Math.min(wholeNumberOf('--jobs', values.jobs, { min: 1 }), seeds);
  const { log, warn, error } = console;
  for (const level of ['log', 'warn', 'error'] as const) console[level] = () => undefined;
  try {
    await simulate(first, seeds, jobs);
    if (failed !== undefined) return await explain(failed, values.brief);
    print(
      'Every read kept its promise, and no acknowledged write was lost; what could be answered was answered.',
    );
  } finally {
    Object.assign(console, { log, warn, error });
  }
});

async function simulate(first: number, seeds: number, jobs: number): Promise<void> {
  const startedAt = performance.now();
  let next = first;
  const take = () => {
    if (failed !== undefined || next >= first + seeds) return undefined;
    next += 1;
    return next - 1;
  };
  await Promise.all(Array.from({ length: jobs }, () => runSeeds(take)));
  const seconds = (performance.now() - startedAt) / 1_000;
  print(
    `${total.seeds} seeds from ${first} in ${seconds.toFixed(1)} s: ${total.reads} reads judged, ` +
      `${total.hits} of them hits, ${total.unanswered} requests without an answer, ` +
      `${total.acknowledged} acknowledged versions.`,
  );
}

/** Hands one seed after the other to a thread, until none is left or one has failed. */
async function runSeeds(take: () => number | undefined): Promise<void> {
  const worker = new Worker(join(import.meta.dirname, 'sim-worker.ts'));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = () => {
    const seed = take();
    if (seed === undefined) resolve();
    else worker.postMessage(seed);
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

/** @returns the exit code. */
async function explain(seed: number, isBrief: boolean): Promise<number> {
  if (isBrief) {
    print(`Seed ${seed} breaks a promise.`);
    return 1;
  }
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
    print(again);
    return 1;
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
  return 1;
}
