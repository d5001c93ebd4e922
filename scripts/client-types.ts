/**
 * `npm run client:types`: writes the types of all routes and events of the catalog, for `createClient<paths>()` of
 * `millrace/client`. It reads the declarations and needs no running server.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { defineCatalog } from '../src/define/define-catalog.ts';
import { typesOfCatalog } from './client/write-types.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { loadCatalog } from './project/catalog.ts';

/** The types of Millrace's own routes, which the client has unless it is given those of a catalog. */
const OWN = 'src/client/routes.ts';
const DEFAULT_OUT = 'millrace-routes.ts';

const USAGE = `npm run client:types -- [options]

  Writes the types of all routes and events of the catalog in src/catalog/, for createClient<paths>().

  --out FILE       the file to write (${DEFAULT_OUT})
  --millrace       writes ${OWN}, the types of Millrace's own routes, after one of them has changed`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run client:types',
    options: {
      out: { type: 'string', default: DEFAULT_OUT },
      millrace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const catalog = values.millrace ? defineCatalog({}) : await loadCatalog();
  const file = values.millrace ? OWN : values.out;
  const text = await typesOfCatalog(catalog);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  console.log(`Wrote the types of the routes to ${file}.`);
});
