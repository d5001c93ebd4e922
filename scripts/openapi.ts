/**
 * `npm run openapi`: the OpenAPI document of this deployment's catalog, for generators of clients and for linters. It
 * starts nothing.
 */
import { writeFileSync } from 'node:fs';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { loadCatalog } from './project/catalog.ts';
import { openApiOf } from './project/openapi.ts';

const USAGE = `Usage: npm run openapi -- [--out openapi.json]

Writes the document that GET /openapi.json answers to a file, or to the standard output.`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run openapi',
    options: { out: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const text = `${JSON.stringify(await openApiOf(await loadCatalog()), null, 2)}\n`;
  if (values.out === undefined) process.stdout.write(text);
  else writeFileSync(values.out, text);
});
