import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** No database listens there: what these tests need of one, the end-to-end tests have. */
const WORKER_VARS = {
  DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none',
  DATABASE_ENDPOINT: 'http://127.0.0.1:9/sql',
  // Without a database every look at the outbox would fail, in the middle of whatever is tested.
  OUTBOX_WATCH_MS: '0',
  // SHA-256 of "test-key".
  API_KEY_SHA256: '62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef',
};

export default defineConfig({
  test: {
    silent: 'passed-only',
    projects: [
      {
        test: {
          name: 'unit',
          environment: 'node',
          include: ['test/unit/**/*.test.ts', 'examples/*/test/unit/**/*.test.ts'],
          // Many of these start a database, and several files run at once on two cores.
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: { name: 'simulation', environment: 'node', include: ['test/simulation/**/*.test.ts'] },
      },
      {
        test: { name: 'kafka', environment: 'node', include: ['test/kafka/**/*.test.ts'] },
      },
      {
        plugins: [
          cloudflareTest({
            main: './test/support/worker/index.ts',
            wrangler: { configPath: './wrangler.toml' },
            miniflare: { bindings: WORKER_VARS },
          }),
        ],
        test: { name: 'workers', include: ['test/workers/**/*.test.ts'] },
      },
      {
        test: {
          name: 'e2e',
          environment: 'node',
          include: ['test/e2e/**/*.test.ts', 'examples/*/test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
