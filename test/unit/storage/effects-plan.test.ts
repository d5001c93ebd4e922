import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { increment, upsert } from '../../../src/define/event.ts';
import { rowEffectStatements } from '../../../src/storage/postgres/row-effects.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { type EffectsDatabase, openEffectsDatabase, station, storable } from './effects-catalog.ts';

const EVENTS = 600;
const BATCH = '11111111-1111-4111-8111-111111111111';

let of: EffectsDatabase;
beforeAll(async () => {
  of = await openEffectsDatabase(await memoryDatabase(FIXTURE.migrationsDir));
}, 60_000);
afterAll(() => of.stop());

function eventsAt(at: number) {
  return Array.from({ length: EVENTS }, (_, n) =>
    storable(`${at}-${n}`, at, [
      upsert(station, { id: `s${n}`, name: `${at}`, status: 'open', battery: n }),
      increment(station, `s${n}`, { bikes: 1 }),
    ]),
  );
}

const Plans = z.array(z.object({ 'QUERY PLAN': z.string() }));
const DISCARDED = /Rows Removed by Join Filter: (\d+)/g;

it('compares each row of a large batch with its own effects only', async () => {
  await of.store(eventsAt(1));
  const events = eventsAt(2);
  for (const { source, id, type, data, time } of events)
    await of.db.execute(sql`insert into ${millrace.events} (source, id, type, data, occurred_at, batch)
      values (${source}, ${id}, ${type}, ${JSON.stringify(data)}::jsonb, ${time}, ${BATCH}::uuid)`);
  const effects = events.flatMap(({ source, id, effects }) =>
    effects.flatMap((effect, line) => (effect.kind === 'append' ? [] : [{ source, id, line, effect }])),
  );
  let discarded = 0;
  for (const statement of rowEffectStatements(effects, BATCH)) {
    const rows = Plans.parse(await of.rows(sql`explain (analyze, costs off, timing off) ${statement}`));
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    for (const [, count] of plan.matchAll(DISCARDED)) discarded += Number(count);
  }
  // Nested loops over the batch would discard about EVENTS² / 2 pairs in each join.
  expect(discarded).toBeLessThan(10 * EVENTS);
  const [row] = await of.rows(
    sql`select count(*)::int as stations from stations where name = '2' and bikes = 2`,
  );
  expect(row).toEqual({ stations: EVENTS });
});
