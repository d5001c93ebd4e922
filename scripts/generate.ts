/**
 * `npm run db:generate [-- --name NAME]`: writes the migration that the catalog's `tables.ts` needs, by drizzle-kit.
 * `npm run db:generate:millrace` does the same for Millrace's own tables. Neither needs a terminal or a database.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateDrizzleJson } from 'drizzle-kit/api';
import * as z from 'zod';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { ambiguousChanges, explainAmbiguous } from './dev/database/ambiguous.ts';
import { tablesOfModule } from './dev/database/declared.ts';
import {
  ADOPTED_TABLES,
  CATALOG_MIGRATIONS,
  CATALOG_TABLES,
  MILLRACE_MIGRATIONS,
  MILLRACE_TABLES,
} from './dev/database/folders.ts';

const USAGE = `Usage: npm run db:generate [-- --name NAME] [-- --tables FILE --out FOLDER]

  --name NAME    the name of the migration; without it drizzle-kit makes one up
  --tables FILE  where the tables are declared (${CATALOG_TABLES})
  --out FOLDER   where the migrations are (${CATALOG_MIGRATIONS})
  --millrace     Millrace's own tables instead (${MILLRACE_TABLES}, ${MILLRACE_MIGRATIONS})`;

const Journal = z.object({ entries: z.array(z.object({ idx: z.number(), tag: z.string() })) });
const Snapshot = z.object({
  tables: z.record(z.string(), z.object({ columns: z.record(z.string(), z.object({ name: z.string() })) })),
});

type Module = Record<string, unknown>;

async function main(): Promise<void> {
  const { values: options } = readOptions({
    command: 'npm run db:generate',
    options: {
      name: { type: 'string' },
      tables: { type: 'string' },
      out: { type: 'string' },
      millrace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) return console.log(USAGE);
  const tables = options.tables ?? (options.millrace ? MILLRACE_TABLES : CATALOG_TABLES);
  const out = options.out ?? (options.millrace ? MILLRACE_MIGRATIONS : CATALOG_MIGRATIONS);
  if (!existsSync(tables))
    throw new Error(
      `${tables} does not exist. Declare the tables there, or name another file with --tables.`,
    );
  const declared = await load(tables);
  await assertNotAdopted(declared, tables);
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  if (!isTerminal) assertUnambiguous(declared, tables, out);
  const name = options.name === undefined ? [] : ['--name', options.name];
  // It finds its own files again under a path that is relative alone.
  const folder = relative(process.cwd(), resolve(out));
  await drizzleKit(['generate', '--dialect', 'postgresql', '--schema', tables, '--out', folder, ...name]);
}

/** A table in both files would be created by the next migration, though it is there. */
async function assertNotAdopted(declared: Module, tables: string): Promise<void> {
  if (!existsSync(ADOPTED_TABLES)) return;
  const adopted = tablesOfModule(await load(ADOPTED_TABLES));
  const both = Object.entries(declared).filter(([, value]) => adopted.some((table) => table === value));
  if (both.length === 0) return;
  const names = both.map(([name]) => name).join(', ');
  throw new Error(
    `${tables} exports ${names}, which ${ADOPTED_TABLES} describes as the table of another tool. A migration would ` +
      `create it. Import it where it is needed, and do not export it from ${tables}.`,
  );
}

function assertUnambiguous(declared: Module, tables: string, out: string): void {
  const before = lastSnapshot(out);
  if (before === undefined) return;
  const changes = ambiguousChanges(before, Snapshot.parse(generateDrizzleJson(declared)));
  if (changes.length > 0) throw new Error(explainAmbiguous(changes, tables));
}

/** The schema as the newest migration leaves it. */
function lastSnapshot(out: string): z.infer<typeof Snapshot> | undefined {
  const journal = join(out, 'meta', '_journal.json');
  if (!existsSync(journal)) return undefined;
  const last = Journal.parse(JSON.parse(readFileSync(journal, 'utf8'))).entries.at(-1);
  if (last === undefined) return undefined;
  const [number] = last.tag.split('_');
  return Snapshot.parse(JSON.parse(readFileSync(join(out, 'meta', `${number}_snapshot.json`), 'utf8')));
}

async function load(file: string): Promise<Module> {
  const module: Module = await import(pathToFileURL(resolve(file)).href);
  return module;
}

/**
 * Its exit code is 0 for most of its errors, so they are found in what it prints. It also asks about schemas and
 * enumerations, which are not looked at above.
 */
async function drizzleKit(args: readonly string[]): Promise<void> {
  const binary = join(import.meta.dirname, '../node_modules/drizzle-kit/bin.cjs');
  const child = spawn(process.execPath, [binary, ...args], { stdio: ['inherit', 'inherit', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [code]: unknown[] = await once(child, 'close');
  if (errors.includes('require a TTY terminal'))
    throw new Error(
      'drizzle-kit asks whether a schema, an enumeration or the like was renamed, and needs a terminal for the question. ' +
        'Nothing was written. Run the same command in a terminal, or make two migrations: add the new one, then remove ' +
        'the old one.',
    );
  process.stderr.write(errors);
  if (code !== 0 || /^\w*Error: /m.test(errors)) throw new Error('drizzle-kit failed, with the error above.');
}

await runCommand(main, 'db:generate');
