/**
 * `npm run catalog:examples`: records answers of a running worker as the examples of the catalog's routes in the OpenAPI
 * document. It stores the examples of the catalog's events first, so run it on a stack of development.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { createClient } from '../src/client/index.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { TARGET_OPTIONS, TARGET_USAGE, targetOf } from './command-line/target.ts';
import { loadCatalog } from './project/catalog.ts';
import { examplesModule, recordAnswers } from './project/examples.ts';

const COMMAND = 'npm run catalog:examples';
const DEFAULT_OUT = 'src/catalog/examples.ts';

const USAGE = `${COMMAND} -- [options]

  Stores the examples of the catalog's events, reads what they changed, and writes the answers as examples of the
  OpenAPI document: pass them to defineCatalog. Run it while npm run dev runs.

  --out FILE         the file to write (${DEFAULT_OUT})
${TARGET_USAGE}`;

await runCommand(async () => {
  const { values } = readOptions({
    command: COMMAND,
    options: {
      ...TARGET_OPTIONS,
      out: { type: 'string', default: DEFAULT_OUT },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const { answers, skipped } = await recordAnswers(
    createClient(targetOf(values)),
    await loadCatalog(),
    Date.now(),
  );
  const isNew = !existsSync(values.out);
  const define = relative(
    dirname(resolve(values.out)),
    join(import.meta.dirname, '../src/define/catalog.ts'),
  );
  writeFileSync(values.out, examplesModule(answers, define));
  for (const line of skipped) console.error(`No example of ${line}`);
  console.log(`Wrote the answers of ${Object.keys(answers).length} operations to ${values.out}.`);
  if (isNew) console.log('Pass them on: defineCatalog({ … }, { examples }).');
});
