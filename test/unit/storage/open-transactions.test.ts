import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClockMoment } from '../../../src/define/view.ts';
import { Sweeper } from '../../../src/pipeline/relay.ts';
import { isRefused } from '../../../src/storage/postgres/connect.ts';
import { countPending, markRelayed, readPending } from '../../../src/storage/postgres/outbox.ts';
import { reflect } from '../../../src/storage/postgres/reflecting.ts';
import { type EffectsDatabase, openEffectsDatabase } from './effects-catalog.ts';

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

/** PGlite runs one transaction at a time, so only a real Postgres commits in another order than the numbers are given. */
describe.skipIf(!POSTGRES_URL)(`changes of two open transactions on ${POSTGRES_TITLE}`, () => {
  const name = `millrace_open_${process.pid}`;
  let admin: pg.Client;
  let of: EffectsDatabase;
  let writers: [pg.Client, pg.Client];
  beforeAll(async () => {
    admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    of = await openEffectsDatabase({ databaseUrl: url.href });
    writers = [new pg.Client({ connectionString: url.href }), new pg.Client({ connectionString: url.href })];
    await Promise.all(writers.map((writer) => writer.connect()));
  });
  afterAll(async () => {
    await Promise.all(writers.map((writer) => writer.end()));
    await of.stop();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });
  beforeEach(() => of.empty());

  /** The relay with a clock of its own; `invalidated` has the tags in the order of their invalidation. */
  function relay() {
    const invalidated: string[] = [];
    const closed: number[] = [];
    let seq = 0;
    let opened = 0;
    const sweeper = new Sweeper({
      isRefused,
      relay: () => ({
        readPending: (wish) => readPending(of.db, wish),
        invalidate: async (tags): Promise<ClockMoment> => {
          invalidated.push(...tags);
          seq += 1;
          return { epoch: 'e', seq };
        },
        publish: async () => undefined,
        markRelayed: (ids, at) => markRelayed(of.db, ids, at),
      }),
      openPass: async () => {
        opened += 1;
        const pass = opened;
        return async () => void closed.push(pass);
      },
    });
    return { sweeper, invalidated, closed };
  }

  const change = (station: string) =>
    `with written as (insert into stations (id) values ('${station}'))
     insert into millrace.outbox (tags) values (array['station:${station}'])`;

  it('are both relayed, though the one with the earlier number commits after the later one was relayed', async () => {
    const [early, late] = writers;
    const { sweeper, invalidated, closed } = relay();
    await early.query('begin');
    await early.query(change('early'));
    await late.query('begin');
    await late.query(change('late'));
    await late.query('commit');
    await sweeper.heartbeat();
    expect(invalidated).toEqual(['station:late']);
    expect(closed).toEqual([1]);
    await early.query('commit');
    await sweeper.heartbeat();
    expect(invalidated).toEqual(['station:late', 'station:early']);
    expect(await countPending(of.db)).toBe(0);
  });

  it('are pending in the report of the answer that shows them, and in no earlier one', async () => {
    const [early, late] = writers;
    const read = async () => {
      const reflection = reflect(of.db.$client, 'e');
      const found = await reflection.db.execute(sql`select id from stations order by id`);
      return {
        shows: found.rows.map(({ id }) => id),
        pending: reflection.report()?.pending.flatMap(({ tags }) => tags),
        relayedSeq: reflection.report()?.relayedSeq,
      };
    };
    const { sweeper } = relay();
    await early.query('begin');
    await early.query(change('early'));
    await late.query(change('late'));
    expect(await read()).toEqual({ shows: ['late'], pending: ['station:late'], relayedSeq: undefined });
    await sweeper.sweep();
    expect(await read()).toEqual({ shows: ['late'], pending: [], relayedSeq: 1 });
    await early.query('commit');
    expect(await read()).toEqual({ shows: ['early', 'late'], pending: ['station:early'], relayedSeq: 1 });
    await sweeper.sweep();
    expect(await read()).toEqual({ shows: ['early', 'late'], pending: [], relayedSeq: 2 });
  });
});
