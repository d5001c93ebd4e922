import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { EVERYTHING } from '../../../src/cache/entry.ts';
import { verifyChain } from '../../../src/gateway/audit/chain.ts';
import { beginAction, endAction, listAudit, readAuditChain } from '../../../src/storage/postgres/audit.ts';
import { captureStatements, dropCaptureStatements } from '../../../src/storage/postgres/capture.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

const ENTRY = {
  principal: 'key:a',
  action: 'cache.purge',
  target: 'product:1',
  detail: { b: 'ß', a: [1, 1.5] },
};
const INSERT = `insert into millrace.audit_log (principal, action, target, detail) values ('key:a', 'a', 't', '{}')`;

describe('the audit log', () => {
  let database: DevDatabase;
  let db: ReturnType<typeof connect>;
  beforeAll(async () => {
    database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    db = connect({ url: database.connectionString, endpoint: database.endpoint });
    for (const target of ['product:1', 'product:2']) {
      const begun = await beginAction(db, { ...ENTRY, target, before: null });
      await endAction(db, begun, 'done', { token: 't' });
    }
  });
  afterAll(async () => {
    await database.close();
  });
  const verdict = async (anchor?: { id: number; hash: string }) =>
    await verifyChain(await readAuditChain(db, { from: anchor?.id ?? 0, limit: 100 }), anchor);
  /** Makes a change as somebody who owns the tables could. */
  const tamper = async (statement: string, undo: string) => {
    const { query } = db.$client;
    await query('alter table millrace.audit_log disable trigger user');
    await query(statement);
    const broken = await verdict();
    await query(undo);
    await query('alter table millrace.audit_log enable trigger user');
    expect(await verdict()).toMatchObject({ broken: null });
    return broken.broken;
  };

  it('has an entry for the begin of an action and one for its outcome', async () => {
    const [ended, begun] = await listAudit(db, { limit: 2 });
    expect(begun).toMatchObject({ ...ENTRY, id: 3, target: 'product:2', outcome: 'begun', begun: null });
    expect(ended).toMatchObject({
      principal: 'key:a',
      target: 'product:2',
      outcome: 'done',
      begun: 3,
      after: { token: 't' },
    });
  });

  it('stays a chain when the triggers of capture are installed and dropped', async () => {
    const source = { ...FIXTURE.catalog, everything: EVERYTHING };
    for (const statements of [captureStatements(source), dropCaptureStatements()])
      await db.$client.transaction(statements.map((statement) => db.$client.query(statement)));
    await expect(db.$client.query('delete from millrace.audit_log where id = 1')).rejects.toThrow(
      'append-only',
    );
  });

  it.each([
    "update millrace.audit_log set principal = 'key:b'",
    'delete from millrace.audit_log where id = 1',
    'truncate millrace.audit_log',
    'truncate millrace.audit_log, millrace.replays',
  ])('refuses %s', async (statement) => {
    await expect(db.$client.query(statement)).rejects.toThrow('append-only');
    expect(await listAudit(db, { limit: 10 })).toHaveLength(4);
  });

  it('sets id, time and hashes itself, whatever the writer says', async () => {
    await db.execute(sql`insert into millrace.audit_log (id, at, principal, action, target, detail, previous_hash, hash)
      values (77, '2001-01-01', 'key:a', 'forged', 't', '{}', 'x', 'y'), (9, now(), 'key:a', 'forged', 't', '{}', '', '')`);
    const [second, first] = await listAudit(db, { action: 'forged', limit: 10 });
    expect([first?.id, second?.id]).toEqual([5, 6]);
    expect(first?.at.startsWith('2001')).toBe(false);
    expect(await verdict()).toMatchObject({ checked: 6, broken: null });
  });

  it('shows a changed, a removed and a replaced entry', async () => {
    expect(
      await tamper(
        `update millrace.audit_log set target = 'x' where id = 2`,
        `update millrace.audit_log set target = 'product:1' where id = 2`,
      ),
    ).toEqual({ id: 2, reason: 'content' });
    expect(
      await tamper(
        `create table saved as with gone as (delete from millrace.audit_log where id = 3 returning *) select * from gone`,
        'insert into millrace.audit_log select * from saved',
      ),
    ).toEqual({ id: 4, reason: 'link' });
    expect(await verdict({ id: 4, hash: '0'.repeat(64) })).toMatchObject({
      broken: { id: 4, reason: 'anchor' },
    });
    expect(await verdict({ id: 99, hash: '0'.repeat(64) })).toMatchObject({
      broken: { id: 99, reason: 'anchor' },
    });
  });

  it('is verified in steps, each from the last verified entry', async () => {
    const first = await verifyChain(await readAuditChain(db, { from: 0, limit: 2 }), undefined);
    const anchor = first.verifiedTo ?? { id: 0, hash: '' };
    expect(anchor.id).toBe(2);
    expect(await verdict(anchor)).toMatchObject({ checked: 5, broken: null, verifiedTo: { id: 6 } });
  });

  it('finds entries by principal, action and time', async () => {
    const list = async (filter: object) =>
      (await listAudit(db, { limit: 10, ...filter })).map(({ id }) => id);
    expect(await list({ principal: 'key:none' })).toEqual([]);
    expect(await list({ action: 'forged', before: 6 })).toEqual([5]);
    expect(await list({ from: '2001-01-01T00:00:00Z', to: '2002-01-01T00:00:00Z' })).toEqual([]);
    expect(await list({ from: '2001-01-01T00:00:00Z' })).toHaveLength(6);
  });
});

/** PGlite runs one transaction at a time, so only a real Postgres has writers at the same time. */
describe.skipIf(!POSTGRES_URL)(`concurrent writers of the audit log on ${POSTGRES_TITLE}`, () => {
  const name = `millrace_audit_${process.pid}`;
  const clients: pg.Client[] = [];
  let admin: pg.Client;
  let database: DevDatabase;
  const client = async (): Promise<pg.Client> => {
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    const opened = new pg.Client({ connectionString: url.href });
    await opened.connect();
    clients.push(opened);
    return opened;
  };
  beforeAll(async () => {
    admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    database = await startDevDatabase({ databaseUrl: url.href, migrationsDir: FIXTURE.migrationsDir });
  });
  afterAll(async () => {
    await Promise.all(clients.map((one) => one.end()));
    await database.close();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  it('make one chain, also if one of them rolls back or sees an older state', async () => {
    const writers = await Promise.all(Array.from({ length: 8 }, client));
    await Promise.all(
      writers.map(async (writer, index) => {
        for (let n = 0; n < 25; n += 1) {
          await writer.query('begin');
          await writer.query(INSERT);
          await writer.query((n + index) % 5 === 0 ? 'rollback' : 'commit');
        }
      }),
    );
    const [late] = writers;
    await late?.query('begin isolation level repeatable read');
    await late?.query('select count(*) from millrace.audit_log');
    await writers[1]?.query(INSERT);
    await expect(late?.query(INSERT)).rejects.toThrow('duplicate key');
    await late?.query('rollback');

    const db = connect({ url: database.connectionString, endpoint: database.endpoint });
    const links = await readAuditChain(db, { from: 0, limit: 1_000 });
    expect(links.map(({ id }) => id)).toEqual(links.map((_, index) => index + 1));
    expect(await verifyChain(links, undefined)).toMatchObject({ checked: 161, broken: null });
  });
});
