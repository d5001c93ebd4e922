/**
 * `npm run client:build`: builds the client that the package exports as `millrace/client`, one module of JavaScript
 * with its declarations. `npm pack` runs it, too.
 */
import { buildClient } from './client/build.ts';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';

const DEFAULT_OUT = 'dist/client';

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run client:build',
    options: { out: { type: 'string', default: DEFAULT_OUT }, help: { type: 'boolean', default: false } },
  });
  if (values.help)
    return console.log(
      `npm run client:build -- [options]\n\n  --out DIR        the folder to write (${DEFAULT_OUT})`,
    );
  await buildClient(values.out);
  console.log(`Built the client in ${values.out}.`);
});
