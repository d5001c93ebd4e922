/**
 * How late a drift is seen, and how many false alarms there are, on streams with a planted drift: Millrace's detector
 * beside those of river, where `RIVER_PYTHON` is a folder with its package (`python3 -m pip install --target DIR river`).
 *
 * Usage: npm run bench:drift -- [--streams 20]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { hashText, seededRandom } from '../src/platform/random.ts';
import { DriftDetector, WINDOWS } from '../src/training/drift/detector.ts';
import { referenceOf } from '../src/training/drift/reference.ts';
import { thresholdOf } from '../src/training/drift/threshold.ts';
import { CALM_ROWS, KINDS, normal, PERIOD_ROWS, streamOf } from './drift/streams.ts';

const EXPECTED_ROWS = 20_000;
const REFERENCE_ROWS = 10_000;
const CALM_STREAMS = 20;

/** By detector and stream: the rows of alarms. */
const Alarms = z.record(z.string(), z.record(z.string(), z.array(z.int())));
type Alarms = z.output<typeof Alarms>;

const count = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:drift',
    options: { streams: { type: 'string', default: '20' } },
  });
  return wholeNumberOf('--streams', values.streams, { min: 1 });
});
const streams = new Map<string, Float64Array>();
for (const kind of Object.keys(KINDS))
  for (let seed = 0; seed < count; seed += 1)
    streams.set(`${kind}-${seed}`, streamOf(kind, hashText(`${kind} ${seed}`)));

const river = process.env['RIVER_PYTHON'];
if (river === undefined) console.log('river is not measured: RIVER_PYTHON is not set.');
report({ 'this detector': ownAlarms(), ...(river === undefined ? {} : riverAlarms(river)) });

function ownAlarms(): Record<string, number[]> {
  const random = seededRandom(7);
  const sample = Float32Array.from({ length: REFERENCE_ROWS }, () => normal(random));
  const { reference, binned } = referenceOf(new Map([['value', sample]]));
  const options = { windows: WINDOWS, expectedRunRows: EXPECTED_ROWS, streams: 400, blockRows: 1 };
  const threshold = thresholdOf(reference, binned, options, random);
  const found: Record<string, number[]> = {};
  for (const [name, stream] of streams) {
    const detector = new DriftDetector(reference, WINDOWS, threshold);
    const alarms: number[] = [];
    let isDrifting = false;
    for (const value of stream) {
      const verdict = detector.add([value]);
      // An alarm is the moment at which the verdict turns.
      if (verdict?.isDrifting === true && !isDrifting) alarms.push(verdict.rows);
      isDrifting = verdict?.isDrifting ?? isDrifting;
    }
    found[name] = alarms;
  }
  return found;
}

function riverAlarms(python: string): Alarms {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-drift-'));
  try {
    const calm = Array.from({ length: CALM_STREAMS }, (_, seed): [string, Float64Array] => {
      const random = seededRandom(5_000 + seed);
      return [`calm-${seed}`, Float64Array.from({ length: 2 * CALM_ROWS }, () => normal(random))];
    });
    for (const [name, stream] of [...streams, ...calm])
      writeFileSync(join(folder, `${name}.txt`), stream.join('\n'));
    const script = join(import.meta.dirname, 'drift/river_detectors.py');
    const { status, stdout, stderr } = spawnSync('python3', [script, folder, String(EXPECTED_ROWS)], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: python },
      maxBuffer: 1e8,
    });
    if (status !== 0) throw new Error(`river failed: ${stderr}`);
    return Alarms.parse(JSON.parse(stdout));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function report(detectors: Alarms): void {
  const calmRows = CALM_ROWS * streams.size;
  console.log(
    `${count} streams of each kind; ${EXPECTED_ROWS} rows between two false alarms were asked for.\n`,
  );
  console.log(
    '| detector | false alarms in 20,000 rows |',
    Object.values(KINDS)
      .map(({ title }) => `${title} |`)
      .join(' '),
  );
  console.log(
    '| --- | --- |',
    Object.values(KINDS)
      .map(() => '--- |')
      .join(' '),
  );
  for (const [name, alarms] of Object.entries(detectors)) {
    const false_ = Object.values(alarms)
      .flat()
      .filter((row) => row <= CALM_ROWS).length;
    const cells = Object.entries(KINDS).map(([kind, { onsets }]) => {
      const delays = Object.entries(alarms)
        .filter(([stream]) => stream.startsWith(`${kind}-`))
        .flatMap(([, rows]) => onsets.map((onset) => delayOf(rows, CALM_ROWS + onset, kind)));
      const seen = delays.filter((delay) => delay !== undefined).sort((a, b) => a - b);
      return seen.length === 0
        ? '0 %'
        : `${seen[Math.floor(seen.length / 2)]} (${Math.round((100 * seen.length) / delays.length)} %)`;
    });
    console.log(`| ${name} | ${((20_000 * false_) / calmRows).toFixed(2)} | ${cells.join(' | ')} |`);
  }
  console.log('\nA cell is the median delay in rows, and the share of the drifts that were seen at all.');
}

/** Rows from the onset to the first alarm after it; a drift that recurs has to be seen while it lasts. */
function delayOf(alarms: readonly number[], onset: number, kind: string): number | undefined {
  const first = alarms.find((row) => row > onset);
  const isInTime = first !== undefined && (kind !== 'recurring' || first <= onset + PERIOD_ROWS);
  return isInTime ? first - onset : undefined;
}
