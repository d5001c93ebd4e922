/**
 * `npm run conformance:onnx`: the ONNX backend node tests, asked over the Open Inference Protocol of a worker in workerd.
 * With `--write` the verdicts become docs/onnx-conformance.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { runCommand } from '../../../scripts/command-line/run.ts';
import { runCases } from './cases.ts';
import { reportOf, tableIn } from './report.ts';

const USAGE = `Usage: npm run conformance:onnx [-- --part N/M] [--write]

Registers each ONNX backend node test and asks it over the Open Inference Protocol. Needs the Python packages of
test/conformance/requirements.txt; TEST_ONNX_PYTHON names the folder that they are in, unless Python finds them itself.
--part runs every Mth case, from the Nth. --write writes the table of docs/onnx-conformance.md.`;
const PAGE = join(import.meta.dirname, '../../../docs/onnx-conformance.md');

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run conformance:onnx',
    options: {
      help: { type: 'boolean', default: false },
      part: { type: 'string', default: '1/1' },
      write: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const startedAt = performance.now();
  const cases = await runCases(['--part', values.part]);
  const report = reportOf(cases);
  console.log(`${report.text}\n\n${Math.round((performance.now() - startedAt) / 1_000)} s`);
  for (const { name, verdict, detail } of report.bad) console.error(`${verdict} ${name}: ${detail}`);
  if (values.write) writeFileSync(PAGE, tableIn(readFileSync(PAGE, 'utf8'), report.text));
  return report.bad.length === 0 ? 0 : 1;
});
