/**
 * The model of the coherence protocol, checked by TLC: `npm run model [-- --large] [--workers N] [--only TEXT]`.
 *
 * Checks every configuration without a fault to its end, then each deliberate fault, which has to violate its
 * invariant. With --large the configurations are the large ones, and the faults are left out. --only takes the
 * configurations and faults whose name contains a text. The exit code is 1 if anything is not as it should be, 2 for
 * a wrong option, and 3 if TLC cannot run on this machine.
 */
import { availableParallelism } from 'node:os';
import { readOptions, UsageError } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../scripts/command-line/values.ts';
import { CLEAN, type Configuration, configurationOf, LARGE, MODEL_FAULTS, textOf } from './configurations.ts';
import { check, findJar, TlcUnavailable } from './tlc.ts';

/** Not 1, which says that the model is wrong. */
const EXIT_UNAVAILABLE = 3;

const USAGE = `Usage: npm run model [-- --large] [--workers N] [--only TEXT]

  --large       the large configurations, without the faults
  --workers N   threads of TLC (2, or one on a machine of one core)
  --only TEXT   the configurations and faults whose name contains the text`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run model',
    options: {
      large: { type: 'boolean', default: false },
      workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const workers = wholeNumberOf('--workers', values.workers, { min: 1 });
  const only = values.only ?? '';
  const all = [...Object.keys(LARGE), ...Object.keys(CLEAN), ...MODEL_FAULTS.map(({ fault }) => fault)];
  if (!all.some((name) => name.includes(only)))
    throw new UsageError(`--only names nothing: no configuration and no fault has "${only}" in its name.`);
  try {
    return await checkAll(findJar(), { isLarge: values.large, only, workers });
  } catch (error) {
    if (!(error instanceof TlcUnavailable)) throw error;
    console.log(`The model was not checked. ${error.message}`);
    return EXIT_UNAVAILABLE;
  }
});

interface Wanted {
  readonly isLarge: boolean;
  /** Part of a name; empty for all. */
  readonly only: string;
  readonly workers: number;
}

/** @returns the exit code. */
async function checkAll(jar: string, { isLarge, only, workers }: Wanted): Promise<number> {
  const startedAt = performance.now();
  const total = { generated: 0, distinct: 0, failed: 0 };
  const named = <T>(entries: readonly (readonly [string, T])[]) =>
    entries.filter(([name]) => name.includes(only));
  for (const [name, configuration] of named(Object.entries(isLarge ? LARGE : CLEAN))) {
    const { isComplete, generated, distinct, violated, output } = await run(jar, configuration, workers);
    total.generated += generated;
    total.distinct += distinct;
    if (!isComplete) total.failed += 1;
    line(isComplete, name, `${count(generated)} states generated, ${count(distinct)} distinct`);
    if (violated !== undefined) console.log(output.slice(output.indexOf('Error:')));
  }
  const faults = isLarge ? [] : named(MODEL_FAULTS.map((fault) => [fault.fault, fault] as const));
  for (const [name, fault] of faults) {
    const { violated, depth } = await run(jar, configurationOf(fault), workers);
    const isFound = violated === fault.breaks;
    if (!isFound) total.failed += 1;
    line(isFound, `fault: ${name}`, `${violated ?? 'nothing'} is violated, in ${depth} states`);
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(
    `${count(total.generated)} states generated without a fault, ${count(total.distinct)} of them distinct; ` +
      `${faults.length} faults; ${total.failed} failed; ${seconds} s with ${workers} workers.`,
  );
  return total.failed > 0 ? 1 : 0;
}

async function run(jar: string, configuration: Configuration, workers: number) {
  const onProgress = process.stdout.isTTY ? (text: string) => console.log(`     ${text}`) : () => undefined;
  return await check({ jar, module: 'Checked', configuration: textOf(configuration), workers, onProgress });
}

function line(isOk: boolean, name: string, text: string): void {
  console.log(`${isOk ? 'ok  ' : 'FAIL'} ${name}: ${text}`);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
