import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Account, VERSION, VERSION_BEFORE } from '../support/deploy/account.ts';
import { IS_PART } from '../support/node/part.ts';
import { scratchDatabase } from '../support/node/scratch-database.ts';

/**
 * `npm run deploy` with the real wrangler, against an account that a server of the test keeps, and a real Postgres. What the
 * platform does with an upload is not tested here: the version that "answers" is another server of the test.
 */

const ROOT = join(import.meta.dirname, '../..');
const SERVER = process.env['TEST_DATABASE_URL'];
const KEY = 'a-key-of-the-deployment';

/** The version that `/health/live` names. */
const release = VERSION;
/** The alerts that it reports. */
let alerts: readonly object[] = [];
const answering = createServer(({ url }, response) => {
  response.setHeader('content-type', 'application/json');
  if (url === '/v1/admin/alerts')
    return response.end(JSON.stringify({ evaluatedAt: new Date().toISOString(), alerts }));
  response.end(
    JSON.stringify(url === '/health/live' ? { status: 'ok', release } : { status: 'ok', checks: {} }),
  );
});
let account: Account;
let database: Awaited<ReturnType<typeof scratchDatabase>> | undefined;
beforeAll(async () => {
  account = await Account.start();
  await new Promise<void>((resolve) => answering.listen(0, '127.0.0.1', resolve));
  if (SERVER !== undefined && !IS_PART) database = await scratchDatabase(SERVER, 'deploy');
});
afterAll(async () => {
  account[Symbol.dispose]();
  answering.close();
  await database?.drop();
});

async function deploy(...more: string[]): Promise<{ code: number; output: string }> {
  // A server that listens on a port has an address object.
  const { port } = answering.address() as AddressInfo;
  const args = ['scripts/deploy.ts', '--env', 'staging', '--url', `http://127.0.0.1:${port}`, ...more];
  const env = { ...process.env, ...account.environment, DATABASE_URL: database?.url, MILLRACE_KEY: KEY };
  return await new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` }),
    );
  });
}

it.skipIf(SERVER === undefined || IS_PART)(
  'creates what the account lacks, sets the secrets, deploys and sees the version answer; creates nothing twice; and goes back where an objective burns',
  async () => {
    const first = await deploy();
    expect([first.code, account.unknown], first.output).toEqual([0, []]);
    const queues = ['changes', 'changes-bulk', 'dead', 'events', 'events-bulk', 'sink'];
    expect(account.queues.toSorted()).toEqual(queues.map((queue) => `millrace-staging-${queue}`));
    expect([account.buckets, account.namespaces]).toEqual([
      ['millrace-staging-models'],
      ['millrace-staging-cache'],
    ]);
    expect(first.output).toContain('created the queue millrace-staging-events-bulk');
    expect(first.output).toContain('set the hash of MILLRACE_KEY');
    const { bindings } = account.uploads.get('millrace-staging') ?? { bindings: [] };
    const secrets = bindings.filter(({ type }) => type === 'secret_text').map(({ name }) => name);
    expect(secrets.toSorted()).toEqual(['API_KEY_SHA256', 'DATABASE_URL']);
    expect(JSON.stringify(bindings)).not.toContain(KEY);
    expect(bindings.filter(({ type }) => type === 'durable_object_namespace')).toHaveLength(17);

    const second = await deploy();
    expect(second.code, second.output).toBe(0);
    expect(second.output).toContain(`Deployed millrace-staging, version ${VERSION}`);
    expect(second.output).not.toMatch(/created the queue|set the/);
    expect(account.queues).toHaveLength(queues.length);

    const burns = { state: 'firing', severity: 'page', labels: { objective: 'availability' } };
    alerts = [
      { ...burns, summary: 'Availability burns.', firedAt: new Date(Date.now() + 600_000).toISOString() },
    ];
    const third = await deploy('--watch', '1m', '--rollback');
    expect(third.code, third.output).toBe(1);
    expect(third.output).toContain('the new version is not right: Availability burns.');
    expect([account.deployments.at(-1), account.unknown], third.output).toEqual([VERSION_BEFORE, []]);
  },
);
