import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBundleFolder } from '../../scripts/models/bundle.ts';
import { rankerBundle } from '../support/models/ranker.ts';
import { runScriptOf } from '../support/node/command-usage.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

let stack: Stack;
let folder = '';
beforeAll(async () => {
  stack = await startStack();
  folder = await mkdtemp(join(tmpdir(), 'command-line-'));
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const cli = async (...args: string[]) => {
  const env = { MILLRACE_KEY: KEY };
  return await runScriptOf('scripts/cli.ts', [...args, '--url', stack.url.origin], { env });
};
/** The JSON that a command prints, once it succeeds. */
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
};
const purchase = (id: string, over: object = {}) => ({
  ...{ id, source: '/cli', type: 'shop.purchase.v1', time: new Date().toISOString() },
  data: {
    ...{ invoice: id, sku: 'CLI1', description: 'A cup', quantity: 1, unitPrice: 2 },
    ...{ customerId: 'c-cli', country: 'France', ...over },
  },
});
async function fileOf(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

describe('events', () => {
  it('sends lines and arrays, shows what became of one, and what it changed', async () => {
    const lines = await fileOf(
      'a.jsonl',
      `${['1', '2'].map((id) => JSON.stringify(purchase(id))).join('\n')}\n`,
    );
    expect(await json('events', 'send', lines, '--wait')).toMatchObject({
      accepted: 2,
      token: expect.any(String),
    });
    const array = await fileOf('b.json', JSON.stringify([purchase('2'), purchase('3')], null, 2));
    const { stdout, stderr, code } = await cli('events', 'send', array, '--wait');
    expect([code, stdout]).toEqual([0, '1 accepted, 1 known before, 0 in quarantine\n']);
    expect(stderr).toContain('2 events sent');
    expect(await json('events', 'status', '/cli', '1')).toMatchObject({
      status: 'stored',
      type: 'shop.purchase.v1',
    });
    expect((await cli('events', 'status', '/cli', 'none')).code).toBe(4);
    expect((await cli('events', 'types')).stdout).toMatch(/^type .*\n[- ]+\n.*shop\./);
  });

  it('names the events that went to quarantine, which are released or discarded', async () => {
    const bad = await fileOf(
      'c.jsonl',
      ['q1', 'q2'].map((id) => JSON.stringify(purchase(id, { quantity: -1 }))).join('\n'),
    );
    const { code, stdout } = await cli('events', 'send', bad, '--wait');
    expect(code).toBe(1);
    expect(stdout).toContain('event 2 (q2): quantity_not_positive');
    const { events } = await json('quarantine', 'list', '--reason', 'quantity_not_positive');
    const [second, first] = events;
    expect((await cli('quarantine', 'show', String(first.id))).stdout).toContain('"quantity": -1');
    const corrected = await fileOf('d.json', JSON.stringify({ specversion: '1.0', ...purchase('q1') }));
    const released = await json('quarantine', 'release', String(first.id), '--event', corrected);
    expect(released.results).toMatchObject([{ id: first.id, outcome: 'released' }]);
    await json('quarantine', 'discard', String(second.id), '--reason', 'a test');
    // The server has nothing to close, and the command line says so.
    const none = await cli('quarantine', 'discard', '999999', '--reason', 'a test');
    expect([none.code, none.stdout]).toEqual([1, expect.stringContaining('not_found')]);
    expect((await cli('quarantine', 'release', '999999')).code).toBe(1);
    expect((await json('quarantine', 'list')).events).toEqual([]);
    expect((await cli('dead-letters', 'list')).stdout).toBe('None.\n');
    const replayed = await cli('dead-letters', 'replay', '999', '--json');
    expect([replayed.code, JSON.parse(replayed.stdout)]).toEqual([
      1,
      expect.objectContaining({ results: [expect.objectContaining({ outcome: 'not_found' })] }),
    ]);
  });

  it('follows changes', async () => {
    const tail = cli('events', 'tail', '--entity', 'product:CLI2', '--limit', '1', '--json');
    let ended = false;
    void tail.finally(() => (ended = true));
    let sent = 0;
    // The feed begins with its connection, so rows are written until it has shown one.
    await eventually(
      async () => {
        sent += 1;
        await stack.caller.ask('PUT', '/v1/products/CLI2', {
          json: { description: 'A plate', unitPrice: sent },
        });
        return ended;
      },
      (isSeen) => isSeen,
      60_000,
    );
    const { code, stdout } = await tail;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'change',
      change: { type: 'row', entities: ['product:CLI2'] },
    });
  });
});

describe('keys', () => {
  it('creates a key that works, rotates and revokes it', async () => {
    const { id, key } = await json('keys', 'create', 'for the test', '--scope', 'operations:read');
    const file = await fileOf('key', `${key}\n`);
    const withKey = (...args: string[]) =>
      runScriptOf('scripts/cli.ts', [...args, '--url', stack.url.origin, '--key-file', file]);
    expect((await withKey('status')).code).toBe(0);
    const refused = await withKey('keys', 'list');
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('403 insufficient_scope') });
    const rotated = await json('keys', 'rotate', id, '--overlap', '0');
    expect(rotated.key).not.toBe(key);
    expect((await cli('keys', 'revoke', id)).stdout).toBe(`Revoked ${id}.\n`);
    expect((await cli('keys', 'list')).stdout).toMatch(new RegExp(`${id} .*revoked`));
    expect((await cli('keys', 'create', 'x', '--scope', 'nothing')).code).toBe(4);
  });
});

describe('the cache, features and models', () => {
  it('shows and invalidates an answer', async () => {
    await eventually(
      async () => {
        await stack.caller.ask('GET', '/v1/products/CLI1');
        return (await cli('cache', 'inspect', '/v1/products/CLI1')).stdout;
      },
      (text) => /inspected {2}shared by all readers[\s\S]*memory .*: valid\n[\s\S]*product:CLI1/.test(text),
      60_000,
    );
    expect((await cli('cache', 'inspect', 'v1/products')).code).toBe(2);
    expect((await cli('cache', 'inspect', '/v1/products', '--header', 'x')).code).toBe(2);
    expect((await cli('cache', 'inspect', '/v1/quality')).code).toBe(4);
    const { token } = await json('cache', 'invalidate', '--tag', 'product:CLI1');
    expect(token).toMatch(/\.\d+$/);
    const inspected = await cli('cache', 'inspect', '/v1/products/CLI1');
    expect(inspected.stdout).toMatch(
      /invalid, because it was filled at \d+ and changed since: product:CLI1 at \d+/,
    );
    for (const by of [['--path', '/v1/products/CLI1'], ['--view', 'product'], ['--everything']])
      expect((await cli('cache', 'invalidate', ...by)).stdout).toMatch(/^Invalidated. Millrace-Token: /);
    expect(await json('cache', 'stats')).toHaveProperty('gate');
    expect((await cli('cache', 'invalidate', '--view', 'nothing')).code).toBe(4);
  });

  it('reads features, rebuilds them, and digests them', async () => {
    await eventually(
      async () => (await cli('features', 'read', 'customer', 'c-cli', '--feature', 'purchases_30d')).stdout,
      (text) => /c-cli +purchases_30d +4 +PRESENT/.test(text),
    );
    const { code, stdout } = await cli('replay', '--rebuild');
    expect([code, stdout]).toEqual([0, expect.stringContaining('They agree.')]);
    expect((await cli('digest')).stdout).toMatch(/^[0-9a-f]+ {2}\d+ cells/);
  });

  it('publishes a model', async () => {
    const bundle = join(folder, 'ranker');
    // The files have what the route takes as JSON.
    await writeBundleFolder(bundle, JSON.parse(JSON.stringify(await rankerBundle())));
    const pushed = await json('models', 'push', 'ranker', bundle);
    expect(pushed).toMatchObject({ name: 'ranker', version: expect.stringMatching(/^[0-9a-f]{12}$/) });
  });
});

describe('the audit log', () => {
  const insert = `insert into millrace.audit_log (principal, action, target, detail)
    select 'key:test', 'test.entry', n::text, '{}' from generate_series(1, 1100) as n`;

  it('lists entries by principal and action', async () => {
    await stack.sql(insert);
    const { entries, next } = await json('audit', 'list', '--action', 'test.entry', '--limit', '2');
    expect(entries.map(({ target }: { target: string }) => target)).toEqual(['1100', '1099']);
    const listed = await cli('audit', 'list', '--principal', 'key:test', '--before', next, '--limit', '1');
    expect(listed.stdout).toMatch(/^id +at .*\n[- ]+\n.* key:test +test\.entry +1098 +done\n$/);
    expect(listed.stderr).toContain('There are more: --before');
    expect((await cli('audit', 'list', '--limit', '0')).code).toBe(2);
  });

  it('verifies the chain itself, and finds an entry that was changed or removed', async () => {
    const { stdout, code } = await cli('audit', 'verify');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^\d+ entries are intact, up to entry \d+\.\n/),
    ]);
    const [, id = '', hash = ''] = /--from (\d+) --hash ([0-9a-f]{64})/.exec(stdout) ?? [];
    const whole = await json('audit', 'verify');
    expect(whole).toEqual({
      checked: Number(id),
      verifiedTo: { id: Number(id), hash },
      isComplete: true,
      broken: null,
    });
    expect((await cli('audit', 'verify', '--from', id, '--hash', hash)).stdout).toMatch(/^1 entry is intact/);
    expect((await cli('audit', 'verify', '--from', id)).code).toBe(2);
    const unguarded = async (statement: string) => {
      await stack.sql('alter table millrace.audit_log disable trigger audit_refuse');
      await stack.sql(statement);
      await stack.sql('alter table millrace.audit_log enable trigger audit_refuse');
    };
    const broken = async (...args: string[]) => {
      const answer = await cli('audit', 'verify', '--json', ...args);
      expect(answer.code).toBe(1);
      return JSON.parse(answer.stdout).broken;
    };
    const changed = Number(id) - 20;
    await unguarded(`update millrace.audit_log set target = 'other' where id = ${changed}`);
    expect(await broken()).toEqual({ id: changed, reason: 'content' });
    const text = await cli('audit', 'verify');
    expect(text.stdout).toContain(`Entry ${changed} is broken: its content was changed`);
    await unguarded(`delete from millrace.audit_log where id = ${changed}`);
    expect(await broken()).toEqual({ id: changed + 1, reason: 'link' });
    await unguarded(`delete from millrace.audit_log where id >= ${id}`);
    expect(await broken('--from', id, '--hash', hash)).toEqual({ id: Number(id), reason: 'anchor' });
  });
});

describe('the deployment', () => {
  it('reports its state and its health', async () => {
    expect((await cli('status')).stdout).toMatch(/events stored +4\n/);
    const { stdout, code } = await cli('doctor', '--json');
    expect(code).toBe(1);
    const { checks, verdict } = JSON.parse(stdout);
    expect(verdict).toBe('fail');
    const verdicts = Object.fromEntries(
      checks.map((of: { name: string; verdict: string }) => [of.name, of.verdict]),
    );
    expect(verdicts).toMatchObject({
      ...{ worker: 'ok', version: 'ok', 'clock of this machine': 'ok', key: 'ok' },
      ...{ database: 'ok', migrations: 'ok', tables: 'ok', relay: 'ok', R2: 'ok' },
    });
    // The stack of this test installs no triggers.
    expect(verdicts['capture']).toBe('fail');
    expect((await cli('kafka')).stdout).toBe('None.\n');
  });

  it('switches a phase, and shows who did it why', async () => {
    const set = await cli('phases', 'set', 'inference', 'degraded', '--reason', 'a test');
    expect([set.code, set.stdout]).toEqual([0, 'inference is degraded.\n']);
    const { stdout } = await cli('phases', 'list');
    expect(stdout).toMatch(/inference +degraded .* key:bootstrap +a test/);
    expect((await cli('phases', 'set', 'core', 'off', '--reason', 'r')).code).toBe(2);
    expect((await cli('phases', 'set', 'inference', 'on')).code).toBe(2);
  });

  it('shows the gates, and switches a phase on whose gates do not hold, with a second key', async () => {
    const gates = await cli('gates');
    expect([gates.code, gates.stdout]).toEqual([
      0,
      expect.stringMatching(/inference +history +closed .*days/),
    ]);
    const on = ['phases', 'set', 'inference', 'on', '--reason', 'r'];
    const refused = await cli(...on);
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('history')]);
    const asked = await cli(...on, '--override');
    expect([asked.code, asked.stdout]).toEqual([0, expect.stringContaining('phases approve inference')]);
    expect((await cli('phases', 'approve', 'inference')).code).toBe(4);
    const { key } = await json('keys', 'create', 'second', '--scope', 'operations:write');
    const approved = await cli('phases', 'approve', 'inference', '--key', key);
    expect([approved.code, approved.stdout]).toEqual([0, 'inference is on.\n']);
    expect((await cli('phases', 'list')).stdout).toMatch(/inference +on .* key:bootstrap +r +key:/);
  });

  it('has an exit code for each way to fail', async () => {
    const codes = async (...calls: string[][]) =>
      await Promise.all(calls.map(async (args) => (await cli(...args)).code));
    expect(await codes(['impact'], ['impact', 'nothing.at_all'])).toEqual([2, 4]);
    // Without its model; and a model that is none of the catalog's.
    expect(await codes(['models', 'rollback'], ['models', 'rollback', 'nobody'])).toEqual([2, 4]);
    const away = await runScriptOf('scripts/cli.ts', ['status', '--url', 'http://127.0.0.1:1', '--key', 'k']);
    expect(away).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('No worker answers at http://127.0.0.1:1'),
    });
    const wrong = await runScriptOf('scripts/cli.ts', [
      'status',
      '--url',
      stack.url.origin,
      '--key',
      'wrong',
    ]);
    expect(wrong).toMatchObject({ code: 4, stderr: expect.stringContaining('refuses this key') });
  });

  it('examines a worker whose diagnosis is refused or hangs, and ends', async () => {
    const file = await fileOf('reader', (await json('keys', 'create', 'r', '--scope', 'data:read')).key);
    const refused = await runScriptOf('scripts/cli.ts', [
      ...['doctor', '--url', stack.url.origin, '--key-file', file],
    ]);
    expect(refused).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/FAIL key: [\s\S]*scope operations:read[\s\S]*ok {3}database: answers/),
    });
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/v1/') !== true) response.end('{"checks":{"database":"ok"}}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // A server that listens on a port has an address object.
    const { port } = server.address() as AddressInfo;
    const late = await runScriptOf('scripts/cli.ts', [
      'doctor',
      '--url',
      `http://127.0.0.1:${port}`,
      '--key',
      'k',
    ]);
    server.closeAllConnections();
    server.close();
    expect(late).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /FAIL diagnosis: did not come within 2\.6 s[\s\S]*ok {3}database: answers/,
      ),
    });
  });

  it('says what to do while the database is away', async () => {
    await stack.stopDatabase();
    const { code, stdout } = await cli('doctor');
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL database: .*\n +Check the secret DATABASE_URL/);
  });
});
