import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { neon, neonConfig } from '@neondatabase/serverless';
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/neon-http';
import * as t from 'drizzle-orm/pg-core';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

const MIGRATION = `
create type mood as enum ('calm', 'busy');
--> statement-breakpoint
create table samples (
  id serial primary key, name text not null constraint samples_name_unique unique,
  at timestamptz, plain_at timestamp, document jsonb, price numeric(20, 4), big bigint, flag boolean,
  tags text[], counts integer[], mood mood, moods mood[], raw bytea
);
--> statement-breakpoint
create table counters (id integer primary key, n integer not null);
`;

const samples = t.pgTable('samples', {
  id: t.serial().primaryKey(),
  name: t.text().notNull(),
  at: t.timestamp({ withTimezone: true }),
  plainAt: t.timestamp('plain_at', { mode: 'string' }),
  document: t.jsonb(),
  price: t.numeric(),
  big: t.bigint({ mode: 'bigint' }),
  flag: t.boolean(),
  tags: t.text().array(),
  counts: t.integer().array(),
});

const execute = promisify(execFile);
let directory = '';
let migrationsDir = '';

neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-dev-database-'));
  migrationsDir = join(directory, 'migrations');
  await mkdir(join(migrationsDir, 'meta'), { recursive: true });
  await writeFile(join(migrationsDir, '0000_samples.sql'), MIGRATION);
  const entries = [{ idx: 0, version: '7', when: 1_700_000_000_000, tag: '0000_samples', breakpoints: true }];
  const journal = { version: '7', dialect: 'postgresql', entries };
  await writeFile(join(migrationsDir, 'meta', '_journal.json'), JSON.stringify(journal));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** Creates an empty database on the test server, and gives its address and the function that drops it. */
async function createPostgresDatabase(): Promise<{ databaseUrl: string; drop: () => Promise<void> }> {
  const admin = new pg.Client({ connectionString: POSTGRES_URL });
  await admin.connect();
  const name = `millrace_test_${process.pid}_${Date.now()}`;
  await admin.query(`create database ${name}`);
  const url = new URL(POSTGRES_URL ?? '');
  url.pathname = `/${name}`;
  const drop = async () => {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  };
  return { databaseUrl: url.href, drop };
}

/** Sends a request as a client other than the driver would. */
function post(database: DevDatabase, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const all = { 'Neon-Connection-String': database.connectionString, ...headers };
  return fetch(database.endpoint, { method: 'POST', body, headers: all });
}

/** What every backend has to do. */
function behavesLikeNeon(open: () => Promise<{ database: DevDatabase; stop: () => Promise<void> }>): void {
  let database: DevDatabase;
  let stop = async () => {};
  beforeAll(async () => {
    ({ database, stop } = await open());
  });
  afterAll(() => stop());
  const client = () => neon(database.connectionString);

  it('returns every type to drizzle as it was written', async () => {
    const db = drizzle({ client: client() });
    const row = {
      name: 'all types',
      at: new Date('2026-03-29T01:30:00.123Z'),
      plainAt: '2026-03-29 01:30:00.123456',
      document: { text: 'ünïcode "quoted" \\', list: [1, null, true], deep: { a: 1.5 } },
      price: '1234567890.1200',
      big: 9_007_199_254_740_993n,
      flag: false,
      tags: ['plain', 'with "quotes"', 'comma,and{brace}', '', 'NULL'],
      counts: [1, -2, 3],
    };
    await db.insert(samples).values(row);
    await db.insert(samples).values({ name: 'only nulls' });
    const [stored] = await db.select().from(samples).where(eq(samples.name, 'all types'));
    expect(stored).toMatchObject(row);
    const [empty] = await db.select().from(samples).where(eq(samples.name, 'only nulls'));
    expect(Object.values(empty ?? {}).filter((value) => value !== null)).toEqual([empty?.id, 'only nulls']);
    expect(await db.select().from(samples).where(eq(samples.name, 'nobody'))).toEqual([]);
  });

  it('sends values as Postgres text, also those of types created after the start', async () => {
    await client()`create type shade as enum ('dark', 'light')`;
    const query = `select 'light'::shade a, '{dark,light}'::shade[] b, '{calm}'::mood[] c, '\\x00ff'::bytea d,
      '{"a": [1]}'::jsonb e, '{1,NULL}'::int[] f, true g, 'NaN'::float8 h, 1.50::numeric i, '1 day'::interval j,
      '2026-01-01 00:00:00+00'::timestamptz k, (1, 'x') l, '[1,3)'::int4range m, '{{1},{2}}'::int8[] n`;
    const response = await post(database, JSON.stringify({ query }), {
      'Neon-Raw-Text-Output': 'true',
      'Neon-Array-Mode': 'true',
    });
    const answer = await response.json();
    expect(answer).toMatchObject({ command: 'SELECT', rowCount: 1, rowAsArray: true });
    expect(answer.fields[6]).toEqual({ name: 'g', dataTypeID: 16 });
    const values = [
      'light',
      '{dark,light}',
      '{calm}',
      '\\x00ff',
      '{"a": [1]}',
      '{1,NULL}',
      't',
      'NaN',
      '1.50',
    ];
    const rest = ['1 day', '2026-01-01 00:00:00+00', '(1,x)', '[1,3)', '{{1},{2}}'];
    expect(answer.rows).toEqual([[...values, ...rest]]);
  });

  it('takes parameters as JSON and decodes values for a client that does not ask for text', async () => {
    const query = `select $1::int n, $2::bool b, $3::jsonb o, $4::text[] a, $5::text u, $6::int8 big,
      'NaN'::float8 f, 'null'::jsonb j, '{1.5,NaN}'::float8[] fs, '{"{\\"a\\":1}"}'::jsonb[] js`;
    const params = [7, true, { a: [1] }, ['x "y" \\', null, 'NULL'], null, '9007199254740993'];
    const answer = await (await post(database, JSON.stringify({ query, params }))).json();
    expect(answer).toMatchObject({ rowAsArray: false });
    const decoded = { n: 7, b: true, o: { a: [1] }, a: ['x "y" \\', null, 'NULL'], u: null };
    const others = { big: '9007199254740993', f: 'NaN', j: null, fs: [1.5, 'NaN'], js: [{ a: 1 }] };
    expect(answer.rows).toEqual([{ ...decoded, ...others }]);
    const perQuery = await (
      await post(database, JSON.stringify({ query: 'select 1', arrayMode: true }))
    ).json();
    expect(perQuery.rows).toEqual([[1]]);
  });

  it('sends binary parameters and answers commands without rows', async () => {
    const one = client();
    await one`insert into samples (name, raw) values ('binary', ${Buffer.from([0, 1, 255])})`;
    expect(await one`select raw from samples where name = 'binary'`).toEqual([
      { raw: Buffer.from([0, 1, 255]) },
    ]);
    const options = { fullResults: true } as const;
    const updated = await one.query(`update samples set flag = true where name = 'binary'`, [], options);
    expect(updated).toMatchObject({ command: 'UPDATE', rowCount: 1, rows: [] });
    const created = await one.query('create table empty_table ()', [], options);
    expect(created).toMatchObject({ command: 'CREATE', rowCount: null });
  });

  it('commits a batch as one transaction and rolls it back as a whole', async () => {
    const db = drizzle({ client: client() });
    const [, rows] = await db.batch([
      db.insert(samples).values({ name: 'batch 1' }),
      db.select({ name: samples.name }).from(samples).where(eq(samples.name, 'batch 1')),
    ]);
    expect(rows).toEqual([{ name: 'batch 1' }]);
    const failing = db.batch([
      db.insert(samples).values({ name: 'batch 2' }),
      db.insert(samples).values({ name: 'batch 1' }),
    ]);
    await expect(failing).rejects.toMatchObject({ code: '23505' });
    expect(await db.select().from(samples).where(eq(samples.name, 'batch 2'))).toEqual([]);
    expect(await client().transaction([])).toEqual([]);
  });

  it('reports errors with the fields of Postgres', async () => {
    const one = client();
    await one`insert into samples (name) values ('twice')`;
    await expect(one`insert into samples (name) values ('twice')`).rejects.toMatchObject({
      name: 'NeonDbError',
      code: '23505',
      severity: 'ERROR',
      constraint: 'samples_name_unique',
      table: 'samples',
      detail: 'Key (name)=(twice) already exists.',
    });
    await expect(one.query('selec 1')).rejects.toMatchObject({ code: '42601', position: '1' });
    await expect(one.query('select 1; select 2')).rejects.toMatchObject({ code: '42601' });
    await expect(one.query('select $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
    expect(await one`select 1 as ok`).toEqual([{ ok: 1 }]);
  });

  it('runs a batch in the mode that its headers ask for', async () => {
    const one = client();
    const queries = [one`select current_setting('transaction_isolation') as level`];
    const [level] = await one.transaction(queries, {
      isolationLevel: 'Serializable',
      readOnly: true,
      deferrable: true,
    });
    expect(level).toEqual([{ level: 'serializable' }]);
    const write = one.transaction([one`insert into samples (name) values ('no')`], { readOnly: true });
    await expect(write).rejects.toMatchObject({ code: '25006' });
    const body = JSON.stringify({ queries: [{ query: 'select 1' }] });
    const response = await post(database, body, { 'Neon-Batch-Isolation-Level': 'RepeatableRead' });
    expect(response.headers.get('neon-batch-isolation-level')).toBe('RepeatableRead');
    const wrong = await post(database, body, { 'Neon-Batch-Isolation-Level': 'Wishful' });
    expect([wrong.status, (await wrong.json()).message]).toEqual([400, 'invalid isolation level']);
  });

  it('keeps concurrent transactions apart', async () => {
    const one = client();
    await one`insert into counters values (1, 0)`;
    const batches = Array.from({ length: 20 }, async (_, index) => {
      const steps = [1, 2].map(() => one`update counters set n = n + 1 where id = 1 returning n`);
      const [first, second] = await one.transaction(index % 2 ? steps : [...steps, one`select 1 / 0`]);
      return Number(second?.[0]?.['n']) - Number(first?.[0]?.['n']);
    });
    const lone = Array.from({ length: 20 }, () => one`update counters set n = n + 100 where id = 1`);
    const settled = await Promise.allSettled(batches);
    await Promise.all(lone);
    expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    expect(settled.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))).toEqual(Array(10).fill(1));
    expect(await one`select n from counters where id = 1`).toEqual([{ n: 10 * 2 + 20 * 100 }]);
  });

  it('leaves no state of a request in the session', async () => {
    const one = client();
    await one`begin`;
    await one`set statement_timeout = 12345`;
    await one`insert into samples (name) values ('after begin')`;
    await one`rollback`;
    expect(await one`select name from samples where name = 'after begin'`).toHaveLength(1);
    expect(await one`show statement_timeout`).toEqual([{ statement_timeout: '0' }]);
  });

  it('refuses other credentials and other requests', async () => {
    const url = new URL(database.connectionString);
    url.password = 'guess';
    await expect(neon(url.href)`select 1`).rejects.toMatchObject({ name: 'NeonDbError', code: '28P01' });
    const body = JSON.stringify({ query: 'select 1' });
    expect((await fetch(database.endpoint, { method: 'POST', body })).status).toBe(400);
    expect((await post(database, body, { 'Neon-Connection-String': 'nonsense' })).status).toBe(400);
    const preflight = await fetch(database.endpoint, { method: 'OPTIONS' });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
    expect((await fetch(new URL('/', database.endpoint))).status).toBe(404);
    expect((await post(database, '{')).status).toBe(400);
    const many = JSON.stringify({ query: 'select 1', params: Array(65_536).fill('1') });
    expect(await (await post(database, many)).json()).toMatchObject({
      message: expect.stringContaining('params'),
    });
  });

  it('refuses bodies and results over 64 MiB, and rolls the batch of such a result back', async () => {
    const response = await post(database, 'x'.repeat(64 * 1024 * 1024 + 1));
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ message: 'request is too large (max is 67108864 bytes)' });
    const one = client();
    const wide = one.transaction([
      one`insert into samples (name) values ('too wide')`,
      one`select repeat('x', 1024 * 1024) from generate_series(1, 65)`,
    ]);
    await expect(wide).rejects.toThrow('response is too large');
    expect(await one`select name from samples where name = 'too wide'`).toEqual([]);
  });
}

describe('the development database on PGlite', () => {
  behavesLikeNeon(async () => {
    const database = await startDevDatabase(await memoryDatabase(migrationsDir));
    return { database, stop: () => database.close() };
  });

  it('keeps its data over a restart, with new credentials, and for one process at a time', async () => {
    const dataDir = join(directory, 'nested', 'data');
    const before = await startDevDatabase({ dataDir, migrationsDir });
    await neon(before.connectionString)`insert into samples (name, moods) values ('kept', '{busy}')`;
    await expect(startDevDatabase({ dataDir, migrationsDir })).rejects.toThrow(
      `in use by process ${process.pid}`,
    );
    await before.close();
    await expect(fetch(before.endpoint)).rejects.toThrow();
    const after = await startDevDatabase({ dataDir, migrationsDir });
    const password = ({ connectionString }: DevDatabase) => new URL(connectionString).password;
    expect(password(after)).not.toBe(password(before));
    const rows = await neon(after.connectionString)`select name, moods from samples`;
    await after.close();
    expect(rows).toEqual([{ name: 'kept', moods: '{busy}' }]);
    expect(existsSync(`${dataDir}.lock`)).toBe(false);
  });

  it('opens the data of a process that was killed', async () => {
    const dataDir = join(directory, 'killed');
    const child = execFile('true');
    await once(child, 'exit');
    await writeFile(`${dataDir}.lock`, String(child.pid));
    const database = await startDevDatabase({ dataDir, migrationsDir });
    await database.close();
  });

  it('reports why it cannot start, and leaves nothing open', async () => {
    const dataDir = join(directory, 'unused');
    await expect(startDevDatabase({ dataDir, migrationsDir: directory })).rejects.toThrow('_journal.json');
    expect(existsSync(`${dataDir}.lock`)).toBe(false);
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const taken = startDevDatabase({ ...(await memoryDatabase(migrationsDir)), port });
    await expect(taken).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
    other.close();
  });
});

const migrate = (env: Record<string, string>) =>
  execute(process.execPath, ['scripts/migrate.ts', migrationsDir], { env: { ...process.env, ...env } });

describe('scripts/migrate.ts', () => {
  it('reports a missing variable and an unreachable server', async () => {
    await expect(migrate({ DATABASE_URL: '' })).rejects.toMatchObject({ stderr: /DATABASE_URL is not set/ });
    const unreachable = migrate({ DATABASE_URL: 'postgres://u:secret@localhost:1/none' });
    await expect(unreachable).rejects.toMatchObject({
      stderr: expect.stringMatching(/^db:migrate: The database localhost:1\/none .*ECONNREFUSED/),
    });
  });
});

describe.skipIf(!POSTGRES_URL)(`the development database on ${POSTGRES_TITLE}`, () => {
  behavesLikeNeon(async () => {
    const { databaseUrl, drop } = await createPostgresDatabase();
    const database = await startDevDatabase({ databaseUrl, migrationsDir });
    const stop = async () => {
      await database.close();
      await drop();
    };
    return { database, stop };
  });

  it('is migrated by scripts/migrate.ts and outlives a session that the server ends', async () => {
    const { databaseUrl, drop } = await createPostgresDatabase();
    const env = { DATABASE_URL: databaseUrl };
    expect((await migrate(env)).stdout).toMatch(
      /^applied millrace\/0000_baseline\n(applied millrace\/\d{4}_\w+\n)*applied catalog\/0000_samples\n.*: (\d+) of \2 /,
    );
    expect((await migrate(env)).stdout).toMatch(/: 0 of \d+ /);
    const database = await startDevDatabase({ databaseUrl, migrationsDir });
    const one = neon(database.connectionString);
    await expect(one`select pg_terminate_backend(pg_backend_pid())`).rejects.toMatchObject({ code: '57P01' });
    expect(await drizzle({ client: one }).execute(sql`select 1 as ok`)).toMatchObject({ rows: [{ ok: 1 }] });
    await database.close();
    await drop();
  });

  it('reports an unreachable server', async () => {
    const databaseUrl = 'postgres://u:p@127.0.0.1:1/none';
    await expect(startDevDatabase({ databaseUrl, migrationsDir })).rejects.toThrow('ECONNREFUSED');
  });
});
