/**
 * The time of a training in workerd, step by step as the object that trains takes it, against the same recipe in LightGBM and
 * scikit-learn on one thread, in turns in one run. `npm run bench:training [-- --rows 100000]`.
 *
 * The rows are those of `madeUpSet`, in 16 columns, and a quarter as many for validation: at 100,000 it is the largest set
 * that a run takes. Python has to have the packages of test/conformance/requirements.txt (TEST_ONNX_PYTHON). CPU time is
 * that of the processes, which a busy machine changes less than the wall time. Memory is the peak of workerd's resident
 * memory above that before the set was made.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { NetworkRecipe, TreesRecipe } from '../src/define/training-recipe.ts';
import { referenceOf } from '../test/conformance/training/reference.ts';
import { madeUpSet } from '../test/support/training/sets.ts';
import { bundle, COMMON, modulesOf, runtimePids } from './support/runtime.ts';

const rows = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:training',
    options: { rows: { type: 'string', default: '100000' } },
  });
  return wholeNumberOf('--rows', values.rows, { min: 1_000 });
});

const SHAPE = { rows: Math.round(rows * 1.25), columns: 16, task: 'binary', learned: 0.8 } as const;
/** `patience: 0` grows all trees and runs all epochs, as the reference does. */
const TRAININGS = [
  [
    'trees: 100 of 31 leaves',
    'lightgbm',
    TreesRecipe.parse({ kind: 'trees', task: 'binary', trees: 100, leaves: 31, patience: 0 }),
  ],
  [
    'network: 32 hidden units, 10 epochs',
    'network',
    NetworkRecipe.parse({ kind: 'network', task: 'binary', hidden: [32], epochs: 10 }),
  ],
  [
    'logistic regression, 10 epochs',
    'linear',
    NetworkRecipe.parse({ kind: 'network', task: 'binary', hidden: [], epochs: 10 }),
  ],
] as const;
/** Linux counts the CPU time of a process in hundredths of a second. */
const TICKS_PER_SECOND = 100;

const Answer = z.object({ isDone: z.boolean(), loss: z.number().nullable() });

/** The CPU time of a process so far, in seconds (proc(5): `utime` and `stime`, after the name in brackets). */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function megabytesOf(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  ) ?? ['', ''];
  return Number(kilobytes) / 1_024;
}

/** From now on the peak counts anew. */
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

async function send(base: URL, method: string, body: object): Promise<unknown> {
  const response = await fetch(base, { method, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
  return await response.json();
}

/** A worker of its own for each recipe, so that none has the memory of the one before. */
async function trainedInWorkerd(recipe: object) {
  const script = { ...COMMON, ...modulesOf('dist/training', 'training-worker.js'), name: 'training' };
  const runtime = new Miniflare(convertV4MiniflareOptions({ workers: [script] }));
  try {
    const base = await runtime.unsafeGetDirectURL('training');
    const pid = runtimePids().at(-1) ?? Number.NaN;
    await send(base, 'PUT', { set: { ...SHAPE, rows: 100 } });
    const idle = megabytesOf(pid, 'VmRSS');
    await send(base, 'PUT', { set: SHAPE });
    resetPeak(pid);
    const [startedAt, cpuAt] = [performance.now(), cpuSecondsOf(pid)];
    let answer = Answer.parse(await send(base, 'POST', { recipe }));
    let [steps, longestMs] = [0, 0];
    while (!answer.isDone) {
      const at = performance.now();
      answer = Answer.parse(await send(base, 'POST', {}));
      longestMs = Math.max(longestMs, performance.now() - at);
      steps += 1;
    }
    return {
      ...{ steps, longestMs, loss: answer.loss ?? Number.NaN },
      seconds: (performance.now() - startedAt) / 1_000,
      cpuSeconds: cpuSecondsOf(pid) - cpuAt,
      peakMb: megabytesOf(pid, 'VmHWM') - idle,
    };
  } finally {
    await runtime.dispose();
  }
}

bundle('--config', 'bench/training.toml', '--outdir', '../dist/training');
const set = madeUpSet(SHAPE);
console.log(
  `${rows} rows and ${SHAPE.rows - rows} later ones, ${SHAPE.columns} columns; load ${loadavg()[0]?.toFixed(1)}\n`,
);
console.log(
  '| recipe | workerd, s | of CPU | reference, s | of CPU | times the CPU | longest step, ms | peak, MB | log loss | reference |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const [name, reference, recipe] of TRAININGS) {
  const own = await trainedInWorkerd(recipe);
  const other = referenceOf(reference, set, 'binary', recipe);
  const cells = [
    ...[name, own.seconds.toFixed(1), own.cpuSeconds.toFixed(1), other.seconds.toFixed(1)],
    ...[other.cpuSeconds.toFixed(1), (own.cpuSeconds / other.cpuSeconds).toFixed(1)],
    ...[own.longestMs.toFixed(0), own.peakMb.toFixed(0), own.loss.toFixed(4), other.loss.toFixed(4)],
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`\nload ${loadavg()[0]?.toFixed(1)}`);
