/** Writes generated invoice lines as CSV: `node examples/shop/seed/write-csv.ts --seed 1 --lines 60000 > file.csv`. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { runCommand } from '../../../scripts/command-line/run.ts';
import { momentOf, wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { CSV_HEADER, toCsvRow } from './csv.ts';
import { generateLines } from './generator.ts';

const COMMAND = 'node examples/shop/seed/write-csv.ts';
const USAGE = `Usage: ${COMMAND} [--seed 1] [--lines 60000] [--until TIME]

  --seed N       equal seeds give equal lines (1)
  --lines N      how many lines (60000)
  --until TIME   the moment of the last line (RFC 3339); without it now, and every run gives others`;

await runCommand(async () => {
  const { values } = readOptions({
    command: COMMAND,
    options: {
      seed: { type: 'string', default: '1' },
      lines: { type: 'string', default: '60000' },
      until: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const lines = generateLines({
    seed: wholeNumberOf('--seed', values.seed, { min: 0 }),
    lines: wholeNumberOf('--lines', values.lines, { min: 1 }),
    until: values.until === undefined ? new Date() : new Date(momentOf('--until', values.until)),
  });
  await pipeline(Readable.from(rows(lines)), process.stdout);
});

function* rows(lines: ReturnType<typeof generateLines>): Generator<string> {
  yield `${CSV_HEADER}\n`;
  for (const line of lines) yield `${toCsvRow(line)}\n`;
}
