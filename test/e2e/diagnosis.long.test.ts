import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { VERSION } from '../../src/platform/version.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

const Diagnosis = z.object({
  version: z.string(),
  migration: z.string(),
  verdict: z.string(),
  checks: z.array(
    z.object({ name: z.string(), verdict: z.string(), detail: z.string(), advice: z.string().optional() }),
  ),
});

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { capture: true });
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
});

async function diagnose() {
  const { status, text } = await stack.caller.ask('GET', '/v1/admin/diagnosis');
  expect(status).toBe(200);
  const { checks, ...rest } = Diagnosis.parse(JSON.parse(text));
  return { ...rest, text, checks: Object.fromEntries(checks.map(({ name, ...of }) => [name, of])) };
}

it('shows every part of a stack that is well, and no secret', async () => {
  // Local queues of a test tell no backlog, and no cron runs there. On a busy machine a check may take too long.
  const owed = (name: string) => (['queues', 'cron'].includes(name) ? ['ok', 'warn'] : ['ok']);
  const { version, migration, checks, text } = await eventually(
    diagnose,
    (found) => Object.entries(found.checks).every(([name, { verdict }]) => owed(name).includes(verdict)),
    30_000,
  );
  expect(version).toBe(VERSION);
  expect(version).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
  expect(migration).toMatch(/^00\d\d_/);
  const names = ['bindings', 'secrets', 'limits', 'database', 'latency to Postgres', 'clock of Postgres'];
  const ofDatabase = ['migrations', 'tables', 'capture', 'outbox', 'quarantine', 'dead letters'];
  const others = ['clock', 'relay', 'cron', 'queues', 'KV', 'R2'];
  expect(Object.keys(checks)).toEqual([...names, ...ofDatabase, ...others]);
  for (const [name, { verdict, detail, advice }] of Object.entries(checks))
    expect([name, detail === '', verdict === 'ok' || advice !== undefined]).toEqual([name, false, true]);
  expect(text).not.toContain(KEY);
  expect(text).not.toMatch(/postgres(ql)?:\/\//);
});

it('finds a disabled trigger, a function of another version, a lost column and a lost migration', async () => {
  await stack.sql('alter table products disable trigger millrace_capture_update');
  expect((await diagnose()).checks['capture']).toMatchObject({
    verdict: 'fail',
    detail: expect.stringContaining('"products" lacks 1 of 4'),
    advice: expect.stringContaining('npm run db:capture'),
  });
  await stack.sql('alter table products enable trigger millrace_capture_update');
  await stack.sql(`create or replace function millrace."capture public.products"() returns trigger language plpgsql
    as $$ begin return null; end $$`);
  expect((await diagnose()).checks['capture']?.detail).toContain('of another version');
  await stack.sql('alter table customers rename column country to nation');
  expect((await diagnose()).checks['tables']).toMatchObject({
    verdict: 'fail',
    detail: expect.stringContaining('customers.country'),
  });
  await stack.sql('alter table customers rename column nation to country');
  await stack.sql('delete from millrace.migrations where id = (select max(id) from millrace.migrations)');
  const { checks, migration, verdict } = await diagnose();
  expect(verdict).toBe('fail');
  expect(checks['migrations']).toMatchObject({ verdict: 'fail', detail: expect.stringContaining(migration) });
});

it('counts refused events and dead letters', async () => {
  await stack.sql(
    `insert into millrace.quarantine (fingerprint, reason, pointer, detail, raw)
     values ('f1', 'r', '', '', '{}'), ('f2', 'dead_letter', '', '', '{}')`,
  );
  const { checks } = await diagnose();
  expect(checks['quarantine']).toMatchObject({ verdict: 'warn', detail: 'has 1 open events' });
  expect(checks['dead letters']).toMatchObject({ verdict: 'fail' });
});

it('answers while the database is away', async () => {
  await stack.stopDatabase();
  const { checks } = await diagnose();
  expect(checks['database']).toMatchObject({
    verdict: 'fail',
    advice: expect.stringContaining('DATABASE_URL'),
  });
  expect(checks['migrations']?.detail).toContain('not checked');
  expect(checks['R2']?.verdict).toBe('ok');
});
