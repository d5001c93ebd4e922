/**
 * Seeded schedules of faults over the pipeline: `npm run sim:pipeline -- --seeds N [--seed S] [--brief]`. Runs the
 * seeds S to S + N - 1 (from 1), on as many embedded databases as there are cores, or on the empty one of
 * `--database URL`. Of the first seed
 * that fails, the schedule is reduced and what happened is printed, or with `--brief` its number alone; the exit
 * code is then 1.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SeedReport } from './sim-worker.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    database: { type: 'string' },
    brief: { type: 'boolean', default: false },
  },
});
const seeds = integer('seeds', values.seeds);
const first = integer('seed', values.seed);
const jobs = values.database === undefined ? Math.min(availableParallelism(), seeds) : 1;

const startedAt = performance.now();
const total = { seeds: 0, steps: 0, faults: 0, dead: 0 };
let failed: SeedReport | undefined;
let next = first;
await Promise.all(Array.from({ length: jobs }, runSeeds));
const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
console.log(
  `${total.seeds} schedules from ${first} in ${seconds} s: ${total.steps} steps, ${total.faults} faults, ` +
    `${total.dead} dead letters.`,
);
if (failed === undefined) console.log('No event was lost or applied twice.');
else {
  process.exitCode = 1;
  console.log(`Seed ${failed.seed} breaks a promise.`);
  if (!values.brief) {
    for (const line of failed.story) console.log(line);
    console.log(`To see it again: npm run sim:pipeline -- --seeds 1 --seed ${failed.seed}`);
  }
}

/**
 * Hands one seed after the other to a process, until none is left or one has failed. Not to a thread: V8 may crash
 * where threads that share the compiled database end at the same time.
 */
async function runSeeds(): Promise<void> {
  const { brief, database } = values;
  const worker = fork(join(import.meta.dirname, 'sim-worker.ts'), [JSON.stringify({ brief, database })]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = () => {
    if (failed !== undefined || next >= first + seeds) return resolve();
    worker.send(next);
    next += 1;
  };
  worker.on('error', reject);
  worker.on('exit', (code) => reject(new Error(`A process of the schedules has ended with ${code}.`)));
  worker.on('message', (message) => {
    const report = message as SeedReport;
    total.seeds += 1;
    for (const name of ['steps', 'faults', 'dead'] as const) total[name] += report[name];
    if (report.violations > 0 && report.seed < (failed?.seed ?? Number.POSITIVE_INFINITY)) failed = report;
    ask();
  });
  ask();
  await promise;
  const exited = once(worker, 'exit');
  worker.kill();
  await exited;
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`--${name} is a whole number above 0, not "${text}".`);
}
