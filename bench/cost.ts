/**
 * What Millrace costs on Cloudflare, from counted operations and public prices: `npm run cost` prints docs/cost.md,
 * `npm run cost -- --write` writes it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { costPage } from './cost/page.ts';

const { values } = readOrExit(() =>
  readOptions({ command: 'npm run cost', options: { write: { type: 'boolean', default: false } } }),
);
if (values.write) writeFileSync(join(import.meta.dirname, '../docs/cost.md'), costPage());
else process.stdout.write(costPage());
