import { provideCloudflareWorkers } from './cloudflare-workers.ts';

/** What became of one seed. */
export interface SeedReport {
  readonly seed: number;
  readonly violations: number;
  readonly steps: number;
  readonly faults: number;
  readonly dead: number;
  /** Of a seed that fails: what happened, with few faults and events. */
  readonly story: readonly string[];
}

provideCloudflareWorkers();
const { openDatabase } = await import('./database.ts');
const { run, takeOver } = await import('./run.ts');
const { scheduleOf } = await import('./schedule.ts');
const { shrink } = await import('./shrink.ts');

/** The rules log what they do without; here that is the ordinary case, and a run has thousands of lines of it. */
for (const level of ['log', 'warn', 'error'] as const) console[level] = () => undefined;

const options = JSON.parse(process.argv[2] ?? '{}') as {
  readonly brief: boolean;
  readonly database?: string;
};
takeOver();
const database = await openDatabase(options.database);

process.on('message', async (seed: number) => {
  const { violations, steps, faults, dead } = await run(scheduleOf(seed), database);
  const isExplained = violations.length > 0 && !options.brief;
  const story = isExplained ? await explain(seed) : [];
  process.send?.({
    seed,
    violations: violations.length,
    steps,
    faults,
    dead,
    story,
  } satisfies SeedReport);
});

async function explain(seed: number): Promise<string[]> {
  const schedule = await shrink(scheduleOf(seed), (smaller) => run(smaller, database));
  const { violations, trace } = await run(schedule, database);
  const events = schedule.requests.reduce((sum, request) => sum + request.events.length, 0);
  return [
    `Here with ${events} events and ${schedule.faultsMax} faults at most:`,
    '',
    ...trace,
    '',
    ...violations,
  ];
}
