/**
 * `npm run environments`: derives the environments of wrangler.toml from the keys above them.
 *
 *   npm run environments              writes them
 *   npm run environments -- --check   fails where they are not up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { experimental_readRawConfig } from 'wrangler';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { TomlTable, withEnvironments } from './project/environments.ts';

const PATH = join(import.meta.dirname, '..', 'wrangler.toml');

const USAGE = `Usage: npm run environments [-- --check]

Derives integration, staging and production of wrangler.toml from the keys above them: the same bindings, with names of
their own. Production has the names of the file itself.

  --check  changes nothing, and fails where they are not up to date`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run environments',
    options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const text = readFileSync(PATH, 'utf8');
  const derived = withEnvironments(
    text,
    TomlTable.parse(experimental_readRawConfig({ config: PATH }).rawConfig),
  );
  if (derived === text) return 0;
  if (values.check) {
    console.error('The environments of wrangler.toml are not those of its other keys: npm run environments.');
    return 1;
  }
  writeFileSync(PATH, derived);
  console.log('wrangler.toml has its environments.');
  return 0;
}, 'environments');
