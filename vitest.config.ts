import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { DurationsReporter } from './test/support/node/durations-reporter.ts';
import { FailuresReporter } from './test/support/node/failures-reporter.ts';

/** No database listens there: what these tests need of one, the end-to-end tests have. */
const WORKER_VARS = {
  DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none',
  DATABASE_ENDPOINT: 'http://127.0.0.1:9/sql',
  // Without a database every look at the outbox would fail, in the middle of whatever is tested.
  OUTBOX_WATCH_MS: '0',
  // The probe compares one hit in a hundred with the origin, and would add loads to tests that count them.
  PROBE_SHARE: '0',
  // On a machine that does much else, a model's fallback would answer in tests of the model.
  DEADLINE_MS: '10000',
  // A test that waits for the work behind an answer would wait for the log of served predictions.
  FEEDBACK_PAUSE_MS: '0',
  // SHA-256 of "test-key".
  API_KEY_SHA256: '62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef',
};

// Processes of tests load the same modules, wrangler's alone are 10 MB: what one has compiled, the next reads. Workers of
// vitest and what they start inherit the variable.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/node');

/** A file that gets each failing test and its message; CI shows it last. */
const FAILURES = process.env['TEST_FAILURES'];
/** A file that gets the time of each test file. */
const DURATIONS = process.env['TEST_DURATIONS'];

/** Files that `npm run test:all` runs and `npm test` does not: their projects end in `-long`. */
const LONG = '**/*.long.test.ts';

/**
 * Files that a part leaves out (`TEST_PART=1`, as CI has it; test/support/node/part.ts). They take long, and other tests of the
 * same code are in the part. `npm run test:all` runs them.
 */
const NOT_IN_PART = [
  'test/e2e/model-memory.long.test.ts',
  'test/kafka/log.long.test.ts',
  'examples/bike-share/test/e2e/outside-trainers.long.test.ts',
  'test/unit/storage/list-order.long.test.ts',
  'test/unit/isolation/isolation.long.test.ts',
  'test/unit/training/drift/threshold.long.test.ts',
  'test/conformance/training/measures.long.test.ts',
  'test/browser/client.long.test.ts',
  'test/e2e/verify-coherence-faults.long.test.ts',
  'test/e2e/chaos.long.test.ts',
  'test/e2e/largest-model.long.test.ts',
  'test/e2e/continuity.long.test.ts',
  'test/workers/feature-shard-upkeep.long.test.ts',
];
const LEFT_OUT = process.env['TEST_PART'] === '1' ? NOT_IN_PART : [];
if (LEFT_OUT.length > 0) console.log(`A part of the tests: without ${LEFT_OUT.join(', ')}`);

/** No test asserts a time. These only end one that hangs, on a machine whose cores do other work as well. */
const PATIENT = { testTimeout: 300_000, hookTimeout: 300_000 };

/** What src/inference/onnx/instance.ts imports; in workerd, tests have it from a binding. */
const WASM = 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
const WASM_OF_BINDING = { [WASM]: join(import.meta.dirname, 'test/support/workers/onnx-wasm.ts') };

/** Runs the files of a project in workerd. */
function workerd() {
  return cloudflareTest({
    main: './test/support/worker/index.ts',
    wrangler: { configPath: './wrangler.toml' },
    miniflare: {
      bindings: WORKER_VARS,
      dataBlobBindings: { ONNX_WASM: fileURLToPath(import.meta.resolve(WASM)) },
    },
  });
}

/** A test of one layer in two projects: the short files, and those that only `npm run test:all` runs. */
function layer<T extends object>(name: string, folders: readonly string[], options: T) {
  const environment = 'node' as const;
  return [
    {
      test: {
        ...options,
        name,
        environment,
        include: folders.map((folder) => `${folder}/**/*.test.ts`),
        exclude: [LONG],
      },
    },
    {
      test: {
        ...options,
        name: `${name}-long`,
        environment,
        include: folders.map((folder) => `${folder}/${LONG}`),
        exclude: LEFT_OUT,
      },
    },
  ];
}

export default defineConfig({
  test: {
    silent: 'passed-only',
    reporters: [
      'default',
      ...(FAILURES === undefined ? [] : [new FailuresReporter(FAILURES)]),
      ...(DURATIONS === undefined ? [] : [new DurationsReporter(DURATIONS)]),
    ],
    // One worker for each core; by itself vitest leaves one core free.
    maxWorkers: availableParallelism(),
    projects: [
      ...layer('unit', ['test/unit', 'examples/*/test/unit'], {
        ...PATIENT,
        // A quarter of the time of these short files would go into loading the same modules again.
        isolate: false,
        setupFiles: ['test/support/node/zod-openapi.ts', 'test/support/node/fresh-breakers.ts'],
      }),
      ...layer('simulation', ['test/simulation'], PATIENT),
      ...layer('model', ['test/model'], PATIENT),
      ...layer('kafka', ['test/kafka'], PATIENT),
      ...layer('conformance', ['test/conformance'], PATIENT),
      ...layer('workers', ['test/workers'], {
        ...PATIENT,
        // A file would take longer to load the worker's modules again than most take to run.
        isolate: false,
        setupFiles: ['test/support/workers/fresh.ts'],
      }).map(({ test: { environment: _, ...test } }) => ({
        plugins: [workerd()],
        resolve: { alias: WASM_OF_BINDING },
        test,
      })),
      ...layer('e2e', ['test/e2e', 'examples/*/test/e2e'], {
        // Each file would load wrangler and compile the embedded database again.
        isolate: false,
        setupFiles: ['test/support/node/zod-openapi.ts', 'test/support/node/miniflare-growth.ts'],
        ...PATIENT,
      }),
      ...layer('browser', ['test/browser'], {
        ...PATIENT,
      }),
    ],
  },
});
