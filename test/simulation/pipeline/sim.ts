/**
 * Seeded schedules of faults over the pipeline: `npm run sim:pipeline -- [--seeds N] [--seed S] [--jobs N] [--brief]`. Runs the
 * seeds S to S + N - 1 (from 1), on as many embedded databases as there are cores, or on the empty one of
 * `--database URL`. Of the first seed
 * that fails, the schedule is reduced and what happened is printed, or with `--brief` its number alone; the exit
 * code is then 1.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { runCommand } from '../../../scripts/command-line/run.ts';
import { databaseUrlOf, wholeNumberOf } from '../../../scripts/command-line/values.ts';
import type { SeedReport } from './sim-worker.ts';

const USAGE = `Usage: npm run sim:pipeline -- [--seeds 200] [--seed 1] [--jobs N] [--database URL] [--brief]

  --seeds N        how many schedules are run (200)
  --seed S         the first of them (1)
  --jobs N         how many run at once (as many as there are cores)
  --database URL   the empty Postgres on which they run, instead of embedded ones
  --brief          of a seed that fails, print its number alone`;

const total = { seeds: 0, steps: 0, faults: 0, dead: 0 };
let failed: SeedReport | undefined;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run sim:pipeline',
    options: {
      seeds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      database: { type: 'string' },
      brief: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const { brief, database } = values;
  if (database !== undefined) databaseUrlOf(database, '--database');
  const seeds = wholeNumberOf('--seeds', values.seeds, { min: 1 });
  const first = wholeNumberOf('--seed', values.seed, { min: 1 });
  const jobs = database === undefined ? Math.min(wholeNumberOf('--jobs', values.jobs, { min: 1 }), seeds) : 1;
  const startedAt = performance.now();
  let next = first;
  const take = () => {
    if (failed !== undefined || next >= first + seeds) return undefined;
    next += 1;
    return next - 1;
  };
  await Promise.all(Array.from({ length: jobs }, () => runSeeds(take, { brief, database })));
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(
    `${total.seeds} schedules from ${first} in ${seconds} s: ${total.steps} steps, ${total.faults} faults, ` +
      `${total.dead} dead letters.`,
  );
  if (failed === undefined) return console.log('No event was lost or applied twice.');
  console.log(`Seed ${failed.seed} breaks a promise.`);
  if (!brief) {
    for (const line of failed.story) console.log(line);
    console.log(`To see it again: npm run sim:pipeline -- --seeds 1 --seed ${failed.seed}`);
  }
  return 1;
});

/**
 * Hands one seed after the other to a process, until none is left or one has failed. Not to a thread: V8 may crash
 * where threads that share the compiled database end at the same time.
 */
async function runSeeds(
  take: () => number | undefined,
  options: { readonly brief: boolean; readonly database: string | undefined },
): Promise<void> {
  const worker = fork(join(import.meta.dirname, 'sim-worker.ts'), [JSON.stringify(options)]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = () => {
    const seed = take();
    if (seed === undefined) resolve();
    else worker.send(seed);
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
