/**
 * `npm run scaffold -- [--example NAME] [--force]`: replaces `src/catalog/` by an empty catalog, or by one that serves
 * an example of `examples/`. A catalog with declarations of its own is replaced with `--force` only.
 */
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import {
  catalogAt,
  emptyCatalog,
  exampleCatalog,
  exampleNames,
  type Files,
  isPointer,
  isScaffolded,
  writeCatalog,
} from './scaffold/catalog.ts';

const ROOT = process.cwd();
const USAGE = `Usage: npm run scaffold -- [--example NAME] [--force]

  (no option)     replaces src/catalog/ by an empty catalog: files with comments that show what goes there
  --example NAME  replaces it by a catalog that serves an example: ${exampleNames(ROOT).join(', ')}
  --force         also where src/catalog/ has declarations of your own; they are deleted`;

async function main(): Promise<void> {
  const { values: options } = readOptions({
    command: 'npm run scaffold',
    options: {
      example: { type: 'string' },
      force: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) {
    console.log(USAGE);
    return;
  }
  const { example } = options;
  const known = exampleNames(ROOT);
  if (example !== undefined && !known.includes(example))
    throw new UsageError(`There is no example "${example}". examples/ has ${known.join(', ')}.`);
  const files = example === undefined ? emptyCatalog(ROOT) : exampleCatalog(example);
  const current = catalogAt(ROOT);
  const isReplaceable = isScaffolded(ROOT, current) || isPointer(current);
  if (!isReplaceable && !options.force)
    throw new Error(
      `src/catalog/ has declarations of its own (${[...current.keys()].join(', ')}). Nothing was changed. ` +
        'Commit or move them, then run this again with --force: it deletes the whole folder.',
    );
  writeCatalog(ROOT, files);
  console.log(report(example, current, files));
}

function report(example: string | undefined, before: Files, after: Files): string {
  const removed = [...before.keys()].filter((name) => !after.has(name));
  return [
    example === undefined
      ? 'src/catalog/ is an empty catalog now.'
      : `src/catalog/ serves examples/${example} now.`,
    `  written: ${[...after.keys()].join(', ')}`,
    ...(removed.length === 0 ? [] : [`  removed: ${removed.join(', ')}`]),
    'Migrations were not touched.',
    '',
    'Next:',
    ...(example === undefined ? NEXT_EMPTY : NEXT_EXAMPLE),
  ].join('\n');
}

const NEXT_EMPTY = [
  '  1. Declare tables in src/catalog/tables.ts, and what is served in the files beside it.',
  '  2. npm run db:generate     writes the migration of the tables',
  '  3. npm run check           compiles the declarations',
  '  4. npm run dev -- --fresh  starts with an empty database: the old one holds the data of another catalog',
  'docs/catalog.md shows each builder.',
];
const NEXT_EXAMPLE = [
  '  npm run dev -- --fresh  starts with the data of the example: the old database holds those of another catalog',
];

await runCommand(main);
