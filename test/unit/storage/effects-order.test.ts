import { sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { append, type Effect, ensure, increment, remove, set, upsert } from '../../../src/define/event.ts';
import type { StorableEvent } from '../../../src/storage/postgres/event-store.ts';
import { removalLock } from '../../../src/storage/postgres/row-removals.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { runsOf } from '../../support/node/part.ts';
import {
  bike,
  type EffectsDatabase,
  openEffectsDatabase,
  riderHistory,
  station,
  storable,
} from './effects-catalog.ts';

/**
 * Whatever the order in which events arrive, however they are divided into transactions, and however often each
 * comes, the tables end as a model says that applies them by their times. The tags that the transactions write are
 * compared with what the triggers saw change.
 */

let of: EffectsDatabase;

/** There from the start; the others are inserted by events. */
const PRESENT = ['a', 'b'];
const ABSENT = ['c', 'd'];

/** What one event does, as data. Texts alone stand under clocks with ties: they sort here as their bytes do. */
type Act =
  | { readonly does: 'report'; readonly id: string; readonly status: string | null }
  | { readonly does: 'rename'; readonly id: string; readonly name: string }
  | { readonly does: 'ride'; readonly from: string; readonly to: string; readonly riders: readonly string[] }
  | { readonly does: 'see'; readonly number: number; readonly zone: string | null }
  | { readonly does: 'scrap'; readonly number: number };
interface Happening {
  readonly id: string;
  readonly at: number;
  readonly acts: readonly Act[];
}

const id = fc.constantFrom(...PRESENT, ...ABSENT);
const word = fc.constantFrom('x', 'xy', 'y', 'z');
const number = fc.integer({ min: 1, max: 2 });
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ does: fc.constant('report' as const), id, status: fc.option(word) }),
  fc.record({ does: fc.constant('rename' as const), id, name: word }),
  fc.record({
    ...{ does: fc.constant('ride' as const), from: id, to: id },
    riders: fc.array(word, { maxLength: 3 }),
  }),
  fc.record({ does: fc.constant('see' as const), number, zone: fc.option(word) }),
  fc.record({ does: fc.constant('scrap' as const), number }),
);
const happenings = fc
  .array(
    fc.record({ at: fc.integer({ min: 1, max: 9 }), acts: fc.array(act, { minLength: 1, maxLength: 3 }) }),
    {
      minLength: 1,
      maxLength: 14,
    },
  )
  .map((all) => all.map((one, index): Happening => ({ ...one, id: `${index}` })));

function effectsOf(one: Act): Effect[] {
  switch (one.does) {
    case 'report': {
      const { id: key, status } = one;
      const battery = status === null ? null : status.length;
      return [
        PRESENT.includes(key)
          ? set(station, key, { status, battery })
          : upsert(station, { id: key, status, battery }),
      ];
    }
    case 'rename':
      return PRESENT.includes(one.id)
        ? [set(station, one.id, { name: one.name })]
        : [ensure(station, { id: one.id }), upsert(station, { id: one.id, name: one.name })];
    case 'ride':
      return [
        increment(station, one.from, { bikes: -1 }, { orInsert: {} }),
        increment(station, one.to, { bikes: 1, revenue: '0.50' }, { orInsert: {} }),
        ...one.riders.map((rider) => append(riderHistory, { station: one.from, rider })),
      ];
    case 'see':
      return [upsert(bike, { fleet: 'f', number: one.number, zone: one.zone })];
    case 'scrap':
      return [remove(bike, { fleet: 'f', number: one.number })];
  }
}

const eventOf = ({ id: eventId, at, acts }: Happening): StorableEvent =>
  storable(eventId, at, acts.flatMap(effectsOf));

/** A value with the time of its last writer; of one time the greater counts, and null is greater than any text. */
interface Timed<Value> {
  readonly at: number;
  readonly value: Value;
}
function later<Value extends string | null>(
  known: Timed<Value> | undefined,
  now: Timed<Value>,
): Timed<Value> {
  if (known === undefined || now.at > known.at) return now;
  if (now.at < known.at || known.value === null) return known;
  return now.value === null || now.value > known.value ? now : known;
}

interface Station {
  status?: Timed<string | null>;
  name?: Timed<string>;
  bikes: number;
  /** In hundredths. */
  revenue: number | null;
}

function model(all: readonly Happening[]) {
  const stations = new Map<string, Station>(PRESENT.map((key) => [key, { bikes: 0, revenue: null }]));
  const seen = new Map<number, Timed<string | null>>();
  const scrapped = new Map<number, number>();
  const stationOf = (key: string): Station => {
    const known = stations.get(key) ?? { bikes: 0, revenue: null };
    stations.set(key, known);
    return known;
  };
  const riders: string[] = [];
  for (const { at, acts, id: eventId } of all) {
    let line = 0;
    for (const one of acts) {
      if (one.does === 'report') {
        const row = stationOf(one.id);
        row.status = later(row.status, { at, value: one.status });
      } else if (one.does === 'rename') {
        const row = stationOf(one.id);
        row.name = later(row.name, { at, value: one.name });
      } else if (one.does === 'ride') {
        stationOf(one.from).bikes -= 1;
        const to = stationOf(one.to);
        to.bikes += 1;
        to.revenue = (to.revenue ?? 0) + 50;
        for (const rider of one.riders) {
          riders.push(`${eventId} ${line} ${one.from} ${rider}`);
          line += 1;
        }
      } else if (one.does === 'see') {
        seen.set(one.number, later(seen.get(one.number), { at, value: one.zone }));
      } else scrapped.set(one.number, Math.max(at, scrapped.get(one.number) ?? 0));
    }
  }
  return {
    stations: [...stations]
      .map(([key, { status, name, bikes, revenue }]) => ({
        ...{ id: key, name: name?.value ?? 'unnamed', status: status === undefined ? 'new' : status.value },
        battery: status?.value?.length ?? null,
        ...{ bikes, revenue: revenue === null ? null : (revenue / 100).toFixed(2) },
        ...{ name_at: name?.at ?? null, status_at: status?.at ?? null },
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    bikes: [...seen]
      .filter(([key, { at }]) => at > (scrapped.get(key) ?? 0))
      .map(([key, { at, value }]) => ({ number: key, zone: value, at }))
      .sort((a, b) => a.number - b.number),
    riders: riders.sort(),
  };
}

async function tables() {
  const [stations, bikes, riders] = [
    await of.rows(sql`
      select id, name, status, battery::int as battery, bikes::int as bikes, revenue::text as revenue,
        extract(epoch from named_at)::int as name_at, extract(epoch from "status at")::int as status_at
      from stations order by id collate "C"`),
    await of.rows(
      sql`select number::int as number, zone, extract(epoch from seen_at)::int as at from keys order by number`,
    ),
    await of.rows(sql`
      select concat_ws(' ', e.id, r.event_line, r.station, r.event_id) as rider
      from ride_riders r join ${millrace.events} e on e.seq = r.event_seq`),
  ];
  return { stations, bikes, riders: riders.map(({ rider }) => String(rider)).sort() };
}

describe('events in any order', () => {
  beforeAll(async () => {
    of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  });
  afterAll(() => of.stop());

  it('end in the same tables, and invalidate what they changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        happenings.chain((all) =>
          fc.record({
            all: fc.constant(all),
            order: fc.shuffledSubarray([...all, ...all], { minLength: all.length }),
            sizes: fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
          }),
        ),
        async ({ all, order, sizes }) => {
          await of.empty();
          await of.store([
            storable(
              'start',
              0,
              PRESENT.map((key) => ensure(station, { id: key })),
            ),
          ]);
          const left = [...order, ...all];
          for (let batch = left.splice(0, sizes.next().value); batch.length > 0; ) {
            // One transaction has distinct events.
            const distinct = new Map(batch.map((one) => [one.id, one]));
            await of.store([...distinct.values()].map(eventOf));
            const { written, changed } = await of.tags();
            expect(written).toEqual(changed);
            batch = left.splice(0, sizes.next().value);
          }
          expect(await tables()).toEqual(model(all));
        },
      ),
      { numRuns: runsOf(25), seed: 7 },
    );
  }, 240_000);
});

const POSTGRES_URL = process.env['TEST_DATABASE_URL'];
const POSTGRES_TITLE = POSTGRES_URL ? 'Postgres' : 'Postgres (skipped: TEST_DATABASE_URL is not set)';

/** PGlite runs one transaction at a time. */
describe.skipIf(!POSTGRES_URL)(`transactions at the same time on ${POSTGRES_TITLE}`, () => {
  const name = `millrace_effects_${process.pid}`;
  let admin: pg.Client;
  let databaseUrl: string;
  beforeAll(async () => {
    admin = new pg.Client({ connectionString: POSTGRES_URL });
    await admin.connect();
    await admin.query(`create database ${name}`);
    const url = new URL(POSTGRES_URL ?? '');
    url.pathname = `/${name}`;
    databaseUrl = url.href;
    of = await openEffectsDatabase({ databaseUrl });
  });
  afterAll(async () => {
    await of.stop();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  const ROUNDS = 20;
  const WRITERS = 6;
  const keys = Array.from({ length: 12 }, (_, index) => `s${index}`);

  it('that touch the same rows in different orders lose no write, and do not deadlock', async () => {
    await of.empty();
    const happened: Happening[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const batches = Array.from({ length: WRITERS }, (_, writer) => {
        // Each writer begins elsewhere, and every other one goes backwards.
        const turned = keys.map((_, index) => keys[(index + writer * 5) % keys.length] ?? '');
        if (writer % 2 === 1) turned.reverse();
        return turned.map((from, index): Happening => {
          const at = 1 + ((round * 31 + writer * 17 + index * 7) % 900);
          const ride: Act = { does: 'ride', from, to: turned[(index + 3) % turned.length] ?? '', riders: [] };
          // Removals of an entity exclude all that inserts its rows, so only two writers touch bikes. Each round has
          // bikes of its own: they race for rows that are not there.
          const bikeNumber = 1 + round * 12 + (index % 6);
          const ofBikes: Act =
            writer === 0
              ? { does: 'scrap', number: bikeNumber }
              : { does: 'see', number: bikeNumber, zone: `${index}` };
          const acts: Act[] =
            writer < 2 ? [ofBikes] : [ride, { does: 'report', id: from, status: `${round}-${writer}` }];
          return { id: `${round}-${writer}-${index}`, at, acts };
        });
      });
      happened.push(...batches.flat());
      await Promise.all(batches.map((batch) => of.store(batch.map(eventOf))));
    }
    const { written, changed } = await of.tags();
    expect(changed.filter((tag) => !written.includes(tag))).toEqual([]);
    const { stations, bikes } = model(happened);
    const found = await tables();
    expect(found.stations).toEqual(stations.filter((row) => !PRESENT.includes(row.id)));
    expect(found.bikes).toEqual(bikes);
  });

  /** Runs statements in a transaction of another writer, and `meanwhile` between them and their commit. */
  async function whileUncommitted(statements: readonly string[], meanwhile: () => Promise<unknown>) {
    const other = new pg.Client({ connectionString: databaseUrl });
    await other.connect();
    try {
      await other.query('begin');
      for (const statement of statements) await other.query(statement);
      const waiting = meanwhile();
      await expect
        .poll(async () => (await of.rows(sql`select from pg_locks where not granted`)).length)
        .toBeGreaterThan(0);
      await other.query('commit');
      await waiting;
    } finally {
      await other.end();
    }
  }

  it('invalidate the place in a list that a row really left', async () => {
    await of.empty();
    await of.store([storable('1', 1, [upsert(station, { id: 'a', status: 'before', battery: 1 })])]);
    await of.tags();
    await whileUncommitted([`update stations set status = 'between' where id = 'a'`], () =>
      of.store([storable('2', 2, [set(station, 'a', { status: 'after', battery: 2 })])]),
    );
    const { written } = await of.tags();
    expect(written).toContain(station.lists.byName.whole({ status: 'between' }));
    expect(written).not.toContain(station.lists.byName.whole({ status: 'before' }));
  });

  it('remove a row that another is about to insert', async () => {
    await of.empty();
    const insert = `insert into keys (fleet, number, zone, seen_at) values ('f', 1, 'z', '1970-01-01T00:00:01Z')`;
    const { sql: lock, params } = new PgDialect().sqlToQuery(removalLock(bike, false));
    const locked = lock.replace('$1', `'${String(params[0])}'`);
    await whileUncommitted([locked, insert], () =>
      of.store([storable('1', 5, [remove(bike, { fleet: 'f', number: 1 })])]),
    );
    expect(await of.rows(sql`select from keys`)).toEqual([]);
  });
});
