/**
 * Compares the event types of the catalog with those that were released last, and fails where an event that a
 * producer may send today would be refused. Released contracts are in the folder that `src/catalog/project.ts`
 * names, else in `src/catalog/contracts`.
 *
 *   node scripts/contracts.ts             lists what changed; exit status 1 with a breaking change
 *   node scripts/contracts.ts --strict    a new property of an object that takes others counts as breaking, too
 *   node scripts/contracts.ts --release   writes the contracts of the catalog, where nothing breaks
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { catalog } from '../src/catalog/index.ts';
import type { Finding } from '../src/pipeline/contracts/finding.ts';
import { Contract, type ContractChange, compareContracts } from '../src/pipeline/contracts/releases.ts';
import { loadProject } from './project/load.ts';

const FOLDER = loadProject().contracts;
/** Characters of a value that are shown; a schema may be long. */
const SHOWN_MAX = 100;

function readReleased(): Contract[] {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  return names.map((name) => {
    const parsed = Contract.safeParse(JSON.parse(readFileSync(join(FOLDER, name), 'utf8')));
    if (parsed.success && `${parsed.data.type}.json` === name) return parsed.data;
    throw new Error(`${join(FOLDER, name)} is not the contract of a type of that name.`);
  });
}

function declaredContracts(): Contract[] {
  return [...catalog.eventTypes.values()].map(({ type, deprecated, jsonSchema }) =>
    Contract.parse({ type, ...(deprecated === undefined ? {} : { deprecated }), schema: jsonSchema() }),
  );
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

function describe({ pointer, rule, old, new: now, effect }: Finding): string {
  const note = effect === 'assumed' ? ' (assuming that nobody sends this property already)' : '';
  return `  ${pointer === '' ? '/' : pointer}  ${rule}: ${shown(old)} -> ${shown(now)}${note}`;
}

function write(changes: readonly ContractChange[], declared: readonly Contract[]): void {
  mkdirSync(FOLDER, { recursive: true });
  for (const { type, state } of changes) {
    const file = join(FOLDER, `${type}.json`);
    const contract = declared.find((candidate) => candidate.type === type);
    if (state === 'ended') rmSync(file);
    else if (state !== 'unchanged') writeFileSync(file, `${JSON.stringify(contract, null, 2)}\n`);
  }
}

const { values: options } = parseArgs({
  options: { release: { type: 'boolean', default: false }, strict: { type: 'boolean', default: false } },
});
const declared = declaredContracts();
const today = new Date().toISOString().slice(0, 10);
const changes = compareContracts(readReleased(), declared, today);
for (const { type, state, findings } of changes) {
  if (state === 'unchanged') continue;
  console.log(`${type}: ${state}`);
  for (const one of findings) console.log(describe(one));
}
const breaks = ({ effect }: Finding) => effect === 'breaking' || options.strict;
const breaking = changes.flatMap(({ findings }) => findings.filter(breaks)).length;
const unreleased = changes.filter(({ state }) => state !== 'unchanged').length;
if (breaking > 0) {
  console.error(
    `${breaking} breaking changes. Declare a new version and upcast the released one to it: docs/catalog.md.`,
  );
  process.exitCode = 1;
} else if (options.release) {
  write(changes, declared);
  console.log(`${declared.length} contracts released, ${unreleased} of them changed.`);
} else {
  const hint = unreleased === 0 ? '' : '; `npm run contracts -- --release` once they are deployed';
  console.log(`${declared.length} contracts, ${unreleased} not as released${hint}. Nothing breaks.`);
}
