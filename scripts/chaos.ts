/**
 * `npm run chaos`: stops, ends and damages what the built worker depends on, one experiment after the other, while readers,
 * writers, senders of events and predictions go on, and judges every answer by the contract. docs/chaos.md has the details.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../src/platform/random.ts';
import { moodBundle } from '../test/support/models/outside.ts';
import type { Experiment, LeftOut } from './chaos/experiment.ts';
import { EXPERIMENTS, feasible } from './chaos/experiments.ts';
import { Load, type Shape, USUAL_SHARES } from './chaos/load.ts';
import { postgresPrograms } from './chaos/postgres-server.ts';
import { asLines, asMarkdown, holds, type Run, summaryOf } from './chaos/report.ts';
import { type Result, runExperiment } from './chaos/run.ts';
import { type ChaosStack, startChaosStack } from './chaos/stack.ts';
import { nearest, readOptions, UsageError } from './command-line/options.ts';
import { describeError, runCommand } from './command-line/run.ts';
import { wholeNumberOf } from './command-line/values.ts';
import { History } from './verify/history.ts';

/** With these the whole list takes less than twelve minutes. */
const SECONDS_DEFAULT = '10';
const SEED_DEFAULT = '1';
/** The load in parts of the saturation: so much that a fault is felt, and little enough that queues drain. */
const LOAD_SHARE = 0.6;
/** Requests under way at once while the saturation is measured. */
const CONNECTIONS = 64;
/** In seconds. The first requests compile the worker's code and fill its caches: it is measured until it rises no more. */
const WINDOW_S = 5;
const WINDOWS_MAX = 5;
const STILL_RISING = 1.1;
/** The shell's convention for a program that was interrupted. */
const EXIT_INTERRUPTED = 130;

const USAGE = `Usage: npm run chaos -- [options]

  --list              lists the experiments, and what this machine cannot run, and ends
  --only NAME[,NAME]  runs these experiments alone
  --seconds N         of each phase: before the fault, during it, and after it at least (${SECONDS_DEFAULT})
  --seed N            of the load's random numbers (${SEED_DEFAULT})
  --embedded          uses the embedded Postgres, also where the machine has a server
  --report FILE       writes the report as Markdown
  --json              prints the report as JSON

The exit code is 0 if every hypothesis holds.`;

interface Options {
  readonly isList: boolean;
  readonly isJson: boolean;
  readonly isEmbedded: boolean;
  readonly only: readonly string[] | undefined;
  readonly seconds: number;
  readonly seed: number;
  readonly reportPath: string | undefined;
}

/** @returns undefined where the list of options is asked for. */
function askedFor(): Options | undefined {
  const { values } = readOptions({
    command: 'npm run chaos',
    options: {
      list: { type: 'boolean', default: false },
      only: { type: 'string' },
      seconds: { type: 'string', default: SECONDS_DEFAULT },
      seed: { type: 'string', default: SEED_DEFAULT },
      embedded: { type: 'boolean', default: false },
      report: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    isList: values.list,
    isJson: values.json,
    isEmbedded: values.embedded,
    only: values.only === undefined ? undefined : namesOf(values.only),
    seconds: wholeNumberOf('--seconds', values.seconds, { min: 2, max: 25 }),
    seed: wholeNumberOf('--seed', values.seed, { min: 0 }),
    reportPath: values.report,
  };
}

function namesOf(list: string): string[] {
  const known = EXPERIMENTS.map(({ name }) => name);
  const names = list.split(',');
  for (const name of names)
    if (!known.includes(name)) {
      const near = nearest(name, known);
      const guess = near === undefined ? '' : ` Did you mean ${near}?`;
      throw new UsageError(
        `There is no experiment "${name}".${guess} \`npm run chaos -- --list\` lists them.`,
      );
    }
  return names;
}

function listText({ isEmbedded }: Options): string {
  const hasServer = !isEmbedded && postgresPrograms() !== undefined;
  const { experiments, leftOut } = feasible({ server: hasServer, disk: hasServer });
  const line = (name: string, text: string) => `${name.padEnd(18)}${text}`;
  return [
    ...experiments.flatMap(({ name, hypothesis, fault }) => [line(name, fault.what), line('', hypothesis)]),
    '',
    'Left out:',
    ...leftOut.map(({ name, reason }) => line(name, reason)),
  ].join('\n');
}

/** How many requests of the load's mix the stack answers in a second, with so many under way all the time. */
async function saturationOf(stack: ChaosStack, seed: number): Promise<number> {
  const load = new Load(stack, new History(), seededRandom(seed), 'saturation');
  await load.prepare();
  const shape = { perSecond: 0, shares: USUAL_SHARES, isHot: false };
  const ending = new AbortController();
  const working = load.saturate(shape, CONNECTIONS, ending.signal);
  let perSecond = 0;
  for (let windows = 0; windows < WINDOWS_MAX; windows += 1) {
    const before = load.answers.length;
    await sleep(WINDOW_S * 1_000);
    const newest = (load.answers.length - before) / WINDOW_S;
    const isWarm = newest < perSecond * STILL_RISING;
    perSecond = Math.max(perSecond, newest);
    if (isWarm) break;
  }
  ending.abort();
  await working;
  return perSecond;
}

async function run({
  only,
  seconds,
  seed,
  isJson,
  isEmbedded,
}: Options): Promise<Run & { readonly failures: number }> {
  const startedAt = new Date();
  const begunMs = performance.now();
  const tell = (line: string) => (isJson ? console.error(line) : console.log(line));
  const stack = await startChaosStack({ isEmbedded });
  try {
    await stack.request(0, 'PUT', '/v1/admin/models/mood/champion', await moodBundle());
    const { database } = stack;
    const has = { server: database.server !== undefined, disk: database.disk !== undefined };
    const { experiments, leftOut } = feasible(has);
    const wanted = ({ name }: Pick<Experiment, 'name'>) => only?.includes(name) ?? true;
    const saturation = await saturationOf(stack, seed);
    const shape: Shape = { perSecond: saturation * LOAD_SHARE, shares: USUAL_SHARES, isHot: false };
    tell(
      `${database.kind}; ${Math.round(saturation)} requests a second at most, load ${Math.round(shape.perSecond)}; ${loadText()}`,
    );
    const results: Result[] = [];
    const failed: LeftOut[] = [];
    for (const experiment of experiments.filter(wanted)) {
      const context = { stack, random: seededRandom(seed), shape, seconds };
      const result = await runExperiment(context, experiment).catch(describeError);
      if (typeof result === 'string') failed.push({ name: experiment.name, reason: `it failed: ${result}` });
      else results.push(result);
      for (const line of typeof result === 'string'
        ? [`failed        ${experiment.name}: ${result}`]
        : asLines(result))
        tell(line);
    }
    const circumstances = {
      ...{ startedAt: startedAt.toISOString(), machine: machineText(), database: database.kind },
      ...{ seed, seconds, saturation, load: shape.perSecond, tookMs: performance.now() - begunMs },
    };
    return { circumstances, results, leftOut: [...failed, ...leftOut], failures: failed.length };
  } finally {
    await stack.close();
  }
}

function loadText(): string {
  return `load average ${loadavg()[0]?.toFixed(1)}`;
}

function machineText(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() || 'CPU'}, ${loadText()}`;
}

// What the run has started ends with the process, but not with a signal that ends it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(EXIT_INTERRUPTED));

await runCommand(async () => {
  const options = askedFor();
  if (options === undefined) return console.log(USAGE);
  if (options.isList) return console.log(listText(options));
  const made = await run(options);
  if (options.reportPath !== undefined) writeFileSync(options.reportPath, asMarkdown(made));
  if (options.isJson) console.log(JSON.stringify(made, null, 2));
  else console.log(summaryOf(made));
  return made.failures === 0 && made.results.length > 0 && made.results.every(holds) ? 0 : 1;
});
