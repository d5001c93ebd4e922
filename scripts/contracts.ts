/**
 * Compares the event types of the catalog with those that were released last, and fails where an event that a
 * producer may send today would be refused. Released contracts are in the folder that `src/catalog/project.ts`
 * names, else in `src/catalog/contracts`.
 *
 *   npm run contracts                 lists what changed, and what each changed field concerns; exit status 1 with a
 *                                     breaking change
 *   npm run contracts -- --strict     a new property of an object that accepts additional properties counts as breaking
 *   npm run contracts -- --release    writes the contracts of the catalog, where nothing breaks
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../src/pipeline/contracts/finding.ts';
import { Contract, type ContractChange, compareContracts } from '../src/pipeline/contracts/releases.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { loadCatalog } from './project/catalog.ts';
import { contractsOf } from './project/contracts.ts';
import { loadProject } from './project/load.ts';

/** Characters of a value that are shown; a schema may be long. */
const SHOWN_MAX = 100;

function readReleased(folder: string): Contract[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.map((name) => {
    const parsed = Contract.safeParse(JSON.parse(readFileSync(join(folder, name), 'utf8')));
    if (parsed.success && `${parsed.data.type}.json` === name) return parsed.data;
    throw new Error(
      `${join(folder, name)} is not a contract of the type that its name says. Restore the file from version control.`,
    );
  });
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

function describe({ pointer, rule, old, new: now, effect }: Finding): string {
  const note = effect === 'assumed' ? ' (assuming that no producer sends this property already)' : '';
  return `  ${pointer === '' ? '/' : pointer}  ${rule}: ${shown(old)} -> ${shown(now)}${note}`;
}

function write(folder: string, changes: readonly ContractChange[], declared: readonly Contract[]): void {
  mkdirSync(folder, { recursive: true });
  for (const { type, state } of changes) {
    const file = join(folder, `${type}.json`);
    const contract = declared.find((candidate) => candidate.type === type);
    if (state === 'ended') rmSync(file);
    else if (state !== 'unchanged') writeFileSync(file, `${JSON.stringify(contract, null, 2)}\n`);
  }
}

const USAGE = `Usage: npm run contracts -- [--strict] [--release]

  (no option)   lists what changed since the release; the exit code is 1 with a breaking change
  --strict      a new property of an object that accepts additional properties counts as breaking
  --release     writes the contracts of the catalog, where nothing breaks`;

await runCommand(async () => {
  const { values: options } = readOptions({
    command: 'npm run contracts',
    options: {
      release: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) return console.log(USAGE);
  const catalog = await loadCatalog();
  const declared = contractsOf(catalog);
  const folder = loadProject().contracts;
  const today = new Date().toISOString().slice(0, 10);
  const released = readReleased(folder);
  const changes = compareContracts(released, declared, today);
  for (const { type, state, findings } of changes) {
    if (state === 'unchanged') continue;
    console.log(`${type}: ${state}`);
    for (const one of findings) console.log(describe(one));
    const [older, newer] = [released, declared].map((contracts) =>
      contracts.find((one) => one.type === type),
    );
    // Only a changed contract needs the graph of the catalog.
    if (older === undefined || newer === undefined) continue;
    const { concernsOf } = await import('./project/contract-impact.ts');
    for (const line of await concernsOf(catalog, older, newer)) console.log(`  ${line}`);
  }
  const breaks = ({ effect }: Finding) => effect === 'breaking' || options.strict;
  const breaking = changes.flatMap(({ findings }) => findings.filter(breaks)).length;
  const unreleased = changes.filter(({ state }) => state !== 'unchanged').length;
  if (breaking > 0)
    throw new Error(
      `${breaking} breaking changes. Declare a new version and upcast the released one to it: docs/catalog.md.`,
    );
  if (options.release) {
    write(folder, changes, declared);
    return console.log(`${declared.length} contracts released, ${unreleased} of them changed.`);
  }
  const hint = unreleased === 0 ? '' : '; `npm run contracts -- --release` once they are deployed';
  console.log(
    `${declared.length} contracts, ${unreleased} of them not released in this form${hint}. No change is breaking.`,
  );
});
