/**
 * The model of the coherence protocol, checked by TLC: `npm run model [-- --clean] [--large] [--workers N] [--only TEXT]`.
 *
 * Checks every configuration without a fault to its end, then the properties of liveness, then each deliberate fault,
 * which has to violate its invariant. With --clean only the configurations without a fault are
 * checked; with --large only the large ones. --only takes what has a name that contains a text. The exit code is 1 if
 * anything is not as it should be, 2 for a wrong option, and 3 if TLC cannot run on this machine.
 */
import { availableParallelism } from 'node:os';
import { readOptions, UsageError } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../scripts/command-line/values.ts';
import { CLEAN, LARGE, LIVE, textOf } from './configurations.ts';
import { configurationOf, MODEL_FAULTS, type ModelFault } from './faults.ts';
import { type Checked, check, findJar, TlcUnavailable } from './tlc.ts';

/** Not 1, which says that the model is wrong. */
const EXIT_UNAVAILABLE = 3;

const USAGE = `Usage: npm run model [-- --clean] [--large] [--workers N] [--only TEXT]

  --clean       the configurations without a fault alone
  --large       the large configurations alone
  --workers N   threads of TLC (2, or one on a machine of one core)
  --only TEXT   the configurations, properties and faults whose name contains the text; may be repeated`;

/** One run of TLC and what it has to report. */
interface Item {
  readonly name: string;
  readonly kind: 'clean' | 'live' | 'fault';
  readonly module: string;
  readonly configuration: string;
  readonly breaks?: string;
}

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run model',
    options: {
      clean: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
      workers: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      only: { type: 'string', multiple: true, default: [''] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const workers = wholeNumberOf('--workers', values.workers, { min: 1 });
  const all = itemsOf(values);
  const isNamed = ({ name }: Item) => values.only.some((text) => name.includes(text));
  for (const text of values.only)
    if (!all.some(({ name }) => name.includes(text)))
      throw new UsageError(`--only names nothing: nothing that is to be checked has "${text}" in its name.`);
  const items = all.filter(isNamed);
  try {
    return await checkAll(findJar(), items, workers);
  } catch (error) {
    if (!(error instanceof TlcUnavailable)) throw error;
    console.log(`The model was not checked. ${error.message}`);
    return EXIT_UNAVAILABLE;
  }
});

function itemsOf({ clean, large }: { clean: boolean; large: boolean }): Item[] {
  const configurations = Object.entries(large ? LARGE : CLEAN).map(
    ([name, configuration]): Item => ({
      name,
      kind: 'clean',
      module: 'Checked',
      configuration: textOf(configuration),
    }),
  );
  if (clean || large) return configurations;
  return [
    ...configurations,
    ...Object.entries(LIVE).map(
      ([name, { specification, configuration }]): Item => ({
        name,
        kind: 'live',
        module: 'Live',
        configuration: textOf(configuration, specification),
      }),
    ),
    ...MODEL_FAULTS.map((fault) => faultItem(`fault: ${fault.fault}`, fault)),
  ];
}

function faultItem(name: string, fault: ModelFault): Item {
  const configuration = textOf(configurationOf(fault));
  return { name, kind: 'fault', module: 'Checked', configuration, breaks: fault.breaks };
}

/** @returns the exit code. */
async function checkAll(jar: string, items: readonly Item[], workers: number): Promise<number> {
  const startedAt = performance.now();
  const total = { generated: 0, distinct: 0, failed: 0 };
  for (const item of items) {
    const { module, configuration } = item;
    const onProgress = process.stdout.isTTY
      ? (text: string) => console.log(`       ${text}`)
      : () => undefined;
    const checked = await check({ jar, module, configuration, workers, onProgress });
    const isOk = item.kind === 'fault' ? checked.violated === item.breaks : checked.isComplete;
    if (!isOk) total.failed += 1;
    if (item.kind === 'clean') {
      total.generated += checked.generated;
      total.distinct += checked.distinct;
    }
    report(item, isOk, checked);
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(
    `${count(total.generated)} states generated without a fault, ${count(total.distinct)} of them distinct; ` +
      `${total.failed} failed; ${seconds} s with ${workers} workers.`,
  );
  return total.failed > 0 ? 1 : 0;
}

function report({ name, kind }: Item, isOk: boolean, checked: Checked): void {
  const { generated, distinct, violated, depth, closing, output } = checked;
  const verdict =
    kind === 'fault'
      ? `${violated ?? 'nothing'} is violated, in ${depth} states`
      : `${count(generated)} states generated, ${count(distinct)} distinct`;
  console.log(`${isOk ? 'ok  ' : 'FAIL'} ${name}: ${verdict}`);
  if (kind === 'clean') console.log(closing.map((text) => `       ${text}`).join('\n'));
  if (kind !== 'fault' && violated !== undefined) console.log(output.slice(output.indexOf('Error:')));
}

function count(value: number): string {
  return value.toLocaleString('en');
}
