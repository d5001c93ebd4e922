import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DevDatabase } from './database.ts';

/**
 * Trains and publishes a first model where none answers yet: by the same command as a user would, in a process
 * of its own, because this one has the database to serve meanwhile.
 */
export async function ensureModel(options: {
  database: DevDatabase;
  url: string;
  key: string;
  stateDir: string;
  step: (text: string) => void;
}): Promise<void> {
  const { database, url, key, stateDir, step } = options;
  const answer = await fetch(`${url}/v1/customers/0/recommendations?limit=1`, {
    headers: { authorization: `Bearer ${key}` },
  });
  await answer.body?.cancel();
  if (answer.ok) return;
  const out = ['--out', join(stateDir, 'models', 'ranker')];
  const child = spawn('node', ['examples/shop/train.ts', ...out, '--publish', '--url', url, '--key', key], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DATABASE_URL: database.connectionString, DATABASE_ENDPOINT: database.endpoint },
  });
  const [code]: unknown[] = await once(child, 'exit');
  if (code === 0) step('a first model is trained and published');
  else step('no model yet: recommendations answer 503 until `npm run train -- --publish` succeeds');
}
