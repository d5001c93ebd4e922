/**
 * The model of the coherence protocol, checked by TLC: `npm run model [-- --clean] [--large] [--workers N] [--only TEXT]`.
 *
 * Checks every configuration without a fault to its end, then the properties of liveness, then each deliberate fault
 * and each open one, which has to violate its invariant. With --clean only the configurations without a fault are
 * checked; with --large only the large ones. --only takes what has a name that contains a text. The exit code is 1 if
 * anything is not as it should be, and 2 if TLC cannot run on this machine.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CLEAN, type Configuration, LARGE, LIVE, textOf } from './configurations.ts';
import { configurationOf, MODEL_FAULTS, type ModelFault, OPEN_FAULTS } from './faults.ts';
import { check, findJar, TlcUnavailable } from './tlc.ts';

const { values } = parseArgs({
  options: {
    clean: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    only: { type: 'string', default: '' },
  },
});
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 1)
  throw new RangeError(`--workers is a whole number above 0, not "${values.workers}".`);

const total = { generated: 0, distinct: 0, failed: 0 };

try {
  await checkAll(findJar());
} catch (error) {
  if (!(error instanceof TlcUnavailable)) throw error;
  console.log(`The model was not checked. ${error.message}`);
  process.exitCode = 2;
}

async function checkAll(jar: string): Promise<void> {
  const startedAt = performance.now();
  for (const [name, configuration] of named(Object.entries(values.large ? LARGE : CLEAN)))
    await checkClean(jar, name, configuration);
  if (!values.clean && !values.large) {
    for (const [name, { specification, configuration }] of named(Object.entries(LIVE))) {
      const { isComplete, distinct } = await run(jar, 'Live', textOf(configuration, specification));
      line(isComplete, `in the end: ${name}`, `${count(distinct)} distinct states`);
    }
    for (const [name, fault] of named(MODEL_FAULTS.map((fault) => [fault.fault, fault] as const)))
      await checkFault(jar, `fault: ${name}`, fault);
    for (const [name, fault] of named(Object.entries(OPEN_FAULTS)))
      await checkFault(jar, `open, expected to fail: ${name}`, fault);
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(
    `${count(total.generated)} states generated without a fault, ${count(total.distinct)} of them distinct; ` +
      `${total.failed} failed; ${seconds} s with ${workers} workers.`,
  );
  if (total.failed > 0) process.exitCode = 1;
}

async function checkClean(jar: string, name: string, configuration: Configuration): Promise<void> {
  const { isComplete, generated, distinct, violated, closing, output } = await run(
    jar,
    'Checked',
    textOf(configuration),
  );
  total.generated += generated;
  total.distinct += distinct;
  line(isComplete, name, `${count(generated)} states generated, ${count(distinct)} distinct`);
  console.log(closing.map((text) => `       ${text}`).join('\n'));
  if (violated !== undefined) console.log(output.slice(output.indexOf('Error:')));
}

async function checkFault(jar: string, name: string, fault: ModelFault): Promise<void> {
  const { violated, depth } = await run(jar, 'Checked', textOf(configurationOf(fault)));
  line(violated === fault.breaks, name, `${violated ?? 'nothing'} is violated, in ${depth} states`);
}

function named<T>(entries: readonly (readonly [string, T])[]) {
  return entries.filter(([name]) => name.includes(values.only));
}

async function run(jar: string, module: string, configuration: string) {
  const onProgress = process.stdout.isTTY ? (text: string) => console.log(`       ${text}`) : () => undefined;
  return await check({ jar, module, configuration, workers, onProgress });
}

function line(isOk: boolean, name: string, text: string): void {
  if (!isOk) total.failed += 1;
  console.log(`${isOk ? 'ok  ' : 'FAIL'} ${name}: ${text}`);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
