/** Writes generated invoice lines as CSV: `node examples/shop/seed/write-csv.ts --seed 1 --lines 60000 > file.csv`. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { CSV_HEADER, toCsvRow } from './csv.ts';
import { generateLines } from './generator.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    lines: { type: 'string', default: '60000' },
    /** A date of ISO 8601; without it the lines reach up to now, and every run gives others. */
    until: { type: 'string' },
  },
});
const until = values.until === undefined ? new Date() : new Date(values.until);
const lines = generateLines({ seed: Number(values.seed), lines: Number(values.lines), until });

function* rows(): Generator<string> {
  yield `${CSV_HEADER}\n`;
  for (const line of lines) yield `${toCsvRow(line)}\n`;
}

await pipeline(Readable.from(rows()), process.stdout);
