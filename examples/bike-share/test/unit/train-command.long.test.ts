import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startDevDatabase } from '../../../../scripts/dev/database.ts';
import { fillDatabase } from '../../../../scripts/dev/seed.ts';
import { Manifest } from '../../../../src/inference/bundle.ts';
import { IS_PART } from '../../../../test/support/node/part.ts';
import { scratchDatabase } from '../../../../test/support/node/scratch-database.ts';
import { catalog } from '../../catalog/index.ts';
import { seedBikeShare } from '../../seed/seed.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const ROOT = join(import.meta.dirname, '../../../..');

it.skipIf(IS_PART || POSTGRES_URL === undefined)(
  'the recipe of ride-minutes trains on the rides of a Postgres database, and writes the same bundle again',
  async () => {
    const database = await scratchDatabase(POSTGRES_URL ?? '', 'millrace_train');
    const migrationsDir = join(ROOT, 'examples/bike-share/migrations');
    const served = await startDevDatabase({ databaseUrl: database.url, migrationsDir });
    const folder = await mkdtemp(join(tmpdir(), 'millrace-train-'));
    try {
      await fillDatabase(served, catalog, seedBikeShare);
      const env = {
        ...process.env,
        ...{ DATABASE_URL: served.connectionString, DATABASE_ENDPOINT: served.endpoint },
      };
      const versions: string[] = [];
      for (const name of ['first', 'again']) {
        const out = join(folder, name);
        const train = ['examples/bike-share/train.ts', '--out', out, '--seed', '1'];
        const { stdout } = await promisify(execFile)(process.execPath, train, { cwd: ROOT, env });
        expect(stdout).toMatch(/Trained on the rows of \d{4,} rides\./);
        expect(stdout).toContain('Verdict: better');
        const { version } = Manifest.parse(JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8')));
        expect(stdout).toContain(`Wrote version ${version}`);
        versions.push(version);
      }
      expect(versions[1]).toBe(versions[0]);
    } finally {
      await served.close();
      await database.drop();
      await rm(folder, { recursive: true });
    }
  },
);
