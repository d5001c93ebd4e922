/**
 * Seeded schedules of faults over the pipeline: `npm run sim:pipeline -- --seeds N [--seed S] [--brief]`. Runs the
 * seeds S to S + N - 1 (from 1), on an embedded database or on the empty one of `--database URL`. Of the first seed
 * that fails, the schedule is reduced and what happened is printed, or with `--brief` its number alone; the exit
 * code is then 1.
 */
import { parseArgs } from 'node:util';
import { provideCloudflareWorkers } from './cloudflare-workers.ts';

provideCloudflareWorkers();
const { openDatabase } = await import('./database.ts');
const { run, takeOver } = await import('./run.ts');
const { scheduleOf } = await import('./schedule.ts');
const { shrink } = await import('./shrink.ts');

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

/** The rules log what they do without; here that is the ordinary case. */
const print = console.log;
for (const level of ['log', 'warn', 'error'] as const) console[level] = () => undefined;

takeOver();
const database = await openDatabase(values.database);
const startedAt = performance.now();
const total = { seeds: 0, steps: 0, faults: 0 };
for (let seed = first; seed < first + seeds; seed += 1) {
  const schedule = scheduleOf(seed);
  const { violations, steps, faults } = await run(schedule, database);
  total.seeds += 1;
  total.steps += steps;
  total.faults += faults;
  if (violations.length > 0) {
    process.exitCode = 1;
    if (values.brief) print(`Seed ${seed} breaks a promise.`);
    else await explain(seed);
    break;
  }
}
const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
print(
  `${total.seeds} schedules from ${first} in ${seconds} s: ${total.steps} steps, ${total.faults} faults among them.`,
);
if (process.exitCode === undefined) print('Nothing was lost, and nothing is there twice.');
await database.database.close();

async function explain(seed: number): Promise<void> {
  const schedule = await shrink(scheduleOf(seed), (smaller) => run(smaller, database));
  const { violations, trace } = await run(schedule, database);
  const events = schedule.requests.reduce((sum, request) => sum + request.events.length, 0);
  print(`Seed ${seed} breaks a promise; here with ${events} events and ${schedule.faultsMax} faults at most:\n`);
  for (const line of trace) print(line);
  print('');
  for (const violation of violations) print(violation);
  print(`To see it again: npm run sim:pipeline -- --seeds 1 --seed ${seed}`);
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`--${name} is a whole number above 0, not "${text}".`);
}
