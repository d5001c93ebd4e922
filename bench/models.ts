/**
 * The time of a run in both tiers of the engine, in workerd, against native `onnxruntime-node` on one thread: four networks
 * of 10 KB to 10 MB, one row and 64. `service` is the runtime in a Worker of its own, behind a service binding. `npm run bench:models [-- --rounds 7]`.
 *
 * `ONNXRUNTIME_NODE` names the folder of an installed `onnxruntime-node`; without it there is no native column, and the
 * bench says so. Its package has 200 MB, so it is no dependency.
 *
 * The clock of a worker stands still while code runs. So the bench times a request that runs the graph many times and one
 * that runs it not at all, and divides the difference. The engines take turns, and their scores have to agree.
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import * as z from 'zod';
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { wholeNumberOf } from '../scripts/command-line/values.ts';
import { seededRandom } from '../src/platform/random.ts';
import { parameterLayout } from '../test/support/onnx/network.ts';
import { writeOnnx } from '../test/support/onnx/network-writer.ts';
import { MODEL_INPUT, MODEL_OUTPUT } from './models/tensors.ts';
import { median } from './support/load.ts';
import { bundle, COMMON, modulesOf } from './support/runtime.ts';

const rounds = readOrExit(() => {
  const { values } = readOptions({
    command: 'npm run bench:models',
    options: { rounds: { type: 'string', default: '7' } },
  });
  return wholeNumberOf('--rounds', values.rounds, { min: 1 });
});

/** Columns and hidden units: 10 KB, 100 KB, 1 MB and 10 MB of weights. */
const SHAPES = [
  [20, 110],
  [64, 390],
  [256, 1_000],
  [512, 5_000],
] as const;
const ROWS = [1, 64];
/** How long the runs of one measurement take together. */
const MEASURED_MS = 200;
/** The largest difference between scores of two engines. */
const TOLERANCE = 1e-4;

/** Runs a graph on rows of one kind, as often as it is told. */
interface Engine {
  readonly name: string;
  run(rows: number, runs: number): Promise<Scores>;
}
const Scores = z.object({ first: z.number().nullable(), last: z.number().nullable() });
type Scores = z.output<typeof Scores>;

function network(width: number, hidden: number): Uint8Array {
  const random = seededRandom(width);
  const numbers = (length: number, scale: number) =>
    Float32Array.from({ length }, () => (random() - 0.5) * scale);
  const parameters = numbers(parameterLayout(width, hidden).length, 2 / Math.sqrt(width));
  const scaled = {
    width,
    hidden,
    mean: numbers(width, 1),
    scale: new Float32Array(width).fill(1),
    parameters,
  };
  return writeOnnx(scaled, {});
}

interface Native {
  readonly InferenceSession: {
    create(
      bytes: Uint8Array,
      options: unknown,
    ): Promise<{
      run(feeds: unknown): Promise<Record<string, { readonly data: ArrayLike<number> }>>;
    }>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
}

/** The native runtime on one thread, with all optimisations, as the WASM one has them. */
async function nativeEngine(folder: string, model: Uint8Array, width: number): Promise<Engine> {
  const native: Native = createRequire(import.meta.url)(folder);
  const session = await native.InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  return {
    name: 'native',
    run: async (rows, runs) => {
      const data = Float32Array.from({ length: rows * width }, (_, at) => ((at * 7_919) % 1_000) / 500 - 1);
      const feeds = { [MODEL_INPUT]: new native.Tensor('float32', data, [rows, width]) };
      let scores: ArrayLike<number> = [];
      for (let run = 0; run < runs; run += 1) scores = (await session.run(feeds))[MODEL_OUTPUT]?.data ?? [];
      return { first: scores[0] ?? null, last: scores[scores.length - 1] ?? null };
    },
  };
}

function workerEngine(base: URL, tier: string, width: number): Engine {
  return {
    name: tier,
    run: async (rows, runs) => {
      const url = new URL(`/?tier=${tier}&rows=${rows}&width=${width}&runs=${runs}`, base);
      const response = await fetch(url, { method: 'POST' });
      if (!response.ok) throw new Error(`${tier}: ${response.status} ${await response.text()}`);
      return Scores.parse(await response.json());
    },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Milliseconds of one run, by engine: medians of the rounds, in which the engines take turns. */
async function measure(engines: readonly Engine[], rows: number): Promise<readonly number[]> {
  const runsOf = new Map<Engine, number>();
  for (const engine of engines) {
    await engine.run(rows, 20);
    const ms = Math.max(0.001, (await timed(() => engine.run(rows, 20))) / 20);
    runsOf.set(engine, Math.max(5, Math.ceil(MEASURED_MS / ms)));
  }
  const times = engines.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, engine] of engines.entries()) {
      const runs = runsOf.get(engine) ?? 1;
      const without = await timed(() => engine.run(rows, 0));
      const withRuns = await timed(() => engine.run(rows, runs));
      times[index]?.push((withRuns - without) / runs);
    }
  return times.map(median);
}

async function assertAgree(engines: readonly Engine[], rows: number): Promise<void> {
  const [reference, ...others] = await Promise.all(
    engines.map(async (engine) => ({ name: engine.name, scores: await engine.run(rows, 1) })),
  );
  for (const { name, scores } of others)
    for (const at of ['first', 'last'] as const)
      if (!(Math.abs((scores[at] ?? Number.NaN) - (reference?.scores[at] ?? Number.NaN)) <= TOLERANCE))
        throw new Error(`${name} and ${reference?.name} differ: ${scores[at]} and ${reference?.scores[at]}.`);
}

const folder = process.env['ONNXRUNTIME_NODE'];
if (folder === undefined) console.log('No native column: ONNXRUNTIME_NODE names no onnxruntime-node.');
bundle('--config', 'bench/models.toml', '--outdir', '../dist/models');
const script = { ...COMMON, ...modulesOf('dist/models', 'models-worker.js') };
const serviceBindings = { INFERENCE: { name: 'models', entrypoint: 'Inference' } };
const runtime = new Miniflare(
  convertV4MiniflareOptions({
    workers: [
      { ...script, name: 'models' },
      { ...script, name: 'caller', serviceBindings },
    ],
  }),
);
try {
  await runtime.ready;
  const models = await runtime.unsafeGetDirectURL('models');
  const caller = await runtime.unsafeGetDirectURL('caller');
  console.log(`medians of ${rounds} rounds; ms of a run, and over native`);
  for (const [width, hidden] of SHAPES) {
    const model = network(width, hidden);
    const loaded = await fetch(models, { method: 'PUT', body: Uint8Array.from(model) });
    const { tiers } = z.object({ tiers: z.array(z.string()) }).parse(await loaded.json());
    const engines = [
      ...(folder === undefined ? [] : [await nativeEngine(resolve(folder), model, width)]),
      ...tiers.map((tier) => workerEngine(models, tier, width)),
      workerEngine(caller, 'service', width),
    ];
    for (const rows of ROWS) {
      await assertAgree(engines, rows);
      const times = await measure(engines, rows);
      const floor = folder === undefined ? Number.NaN : (times[0] ?? Number.NaN);
      const columns = engines.map(({ name }, index) => {
        const ms = times[index] ?? Number.NaN;
        return `${name} ${ms.toFixed(4)} (${(ms / floor).toFixed(2)})`.padStart(30);
      });
      console.log(`${`${(model.length / 1_024).toFixed(0)} KB, ${rows} rows`.padEnd(20)}${columns.join('')}`);
    }
  }
} finally {
  await runtime.dispose();
}
