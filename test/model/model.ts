/**
 * The model of the coherence protocol, checked by TLC: `npm run model [-- --large] [--workers N] [--only TEXT]`.
 *
 * Checks every configuration without a fault to its end, then each deliberate fault, which has to violate its
 * invariant. With --large the configurations are the large ones, and the faults are left out. --only takes the
 * configurations and faults whose name contains a text. The exit code is 1 if anything is not as it should be, and 2
 * if TLC cannot run on this machine.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CLEAN, type Configuration, configurationOf, LARGE, MODEL_FAULTS, textOf } from './configurations.ts';
import { check, findJar, TlcUnavailable } from './tlc.ts';

const { values } = parseArgs({
  options: {
    large: { type: 'boolean', default: false },
    workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    only: { type: 'string', default: '' },
  },
});
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 1)
  throw new RangeError(`--workers is a whole number above 0, not "${values.workers}".`);

try {
  await checkAll(findJar());
} catch (error) {
  if (!(error instanceof TlcUnavailable)) throw error;
  console.log(`The model was not checked. ${error.message}`);
  process.exitCode = 2;
}

async function checkAll(jar: string): Promise<void> {
  const startedAt = performance.now();
  const total = { generated: 0, distinct: 0, failed: 0 };
  const named = <T>(entries: readonly (readonly [string, T])[]) =>
    entries.filter(([name]) => name.includes(values.only));
  for (const [name, configuration] of named(Object.entries(values.large ? LARGE : CLEAN))) {
    const { isComplete, generated, distinct, violated, output } = await run(jar, configuration);
    total.generated += generated;
    total.distinct += distinct;
    if (!isComplete) total.failed += 1;
    line(isComplete, name, `${count(generated)} states generated, ${count(distinct)} distinct`);
    if (violated !== undefined) console.log(output.slice(output.indexOf('Error:')));
  }
  const faults = values.large ? [] : named(MODEL_FAULTS.map((fault) => [fault.fault, fault] as const));
  for (const [name, fault] of faults) {
    const { violated, depth } = await run(jar, configurationOf(fault));
    const isFound = violated === fault.breaks;
    if (!isFound) total.failed += 1;
    line(isFound, `fault: ${name}`, `${violated ?? 'nothing'} is violated, in ${depth} states`);
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(
    `${count(total.generated)} states generated without a fault, ${count(total.distinct)} of them distinct; ` +
      `${faults.length} faults; ${total.failed} failed; ${seconds} s with ${workers} workers.`,
  );
  if (total.failed > 0) process.exitCode = 1;
}

async function run(jar: string, configuration: Configuration) {
  const onProgress = process.stdout.isTTY ? (text: string) => console.log(`     ${text}`) : () => undefined;
  return await check({ jar, module: 'Checked', configuration: textOf(configuration), workers, onProgress });
}

function line(isOk: boolean, name: string, text: string): void {
  console.log(`${isOk ? 'ok  ' : 'FAIL'} ${name}: ${text}`);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
