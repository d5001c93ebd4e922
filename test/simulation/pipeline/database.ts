import { sql } from 'drizzle-orm';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import * as millrace from '../../../src/storage/postgres/schema.ts';
import { customers, products, purchases } from '../../support/catalog/tables.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

/** The database of a run of schedules, with what makes it refuse certain events. */
export interface SimulatedDatabase {
  readonly database: DevDatabase;
  readonly db: ReturnType<typeof connect>;
}

/** Opens an embedded database, or migrates the empty one at `url`. */
export async function openDatabase(url: string | undefined): Promise<SimulatedDatabase> {
  const database = await startDevDatabase(
    url === undefined
      ? await memoryDatabase(FIXTURE.migrationsDir)
      : { databaseUrl: url, migrationsDir: FIXTURE.migrationsDir },
  );
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.execute(sql`alter table purchases drop constraint if exists refuses_data`);
  await db.execute(
    sql`alter table purchases add constraint refuses_data check (invoice not like 'unstorable%')`,
  );
  await db.execute(sql`
    create or replace function has_a_defect() returns trigger language plpgsql as $$
    begin raise exception 'a defect' using errcode = 'XX000'; end $$`);
  return { database, db };
}

/** Empties it, and puts the defect in. */
export async function reset({ db }: SimulatedDatabase): Promise<void> {
  const { events, outbox, quarantine } = millrace;
  const tables = [events, outbox, quarantine, customers, products, purchases];
  await db.batch([
    db.execute(sql`drop trigger if exists defect on purchases`),
    ...tables.map((table) => db.execute(sql`delete from ${table}`)),
    ...['events_seq_seq', 'outbox_id_seq', 'quarantine_id_seq'].map((name) =>
      db.execute(sql`alter sequence millrace.${sql.identifier(name)} restart`),
    ),
    db.execute(sql`
      create trigger defect before insert on purchases for each row
      when (new.invoice like 'storing-fails%') execute function has_a_defect()`),
  ]);
}

/** Takes the defect out. */
export async function mend({ db }: SimulatedDatabase): Promise<void> {
  await db.execute(sql`drop trigger if exists defect on purchases`);
}

/** The number of open dead letters. */
export async function countDead({ db }: SimulatedDatabase): Promise<number> {
  const { rows } = await db.execute(
    sql`select count(*) as letters from millrace.quarantine where reason = 'dead_letter' and state = 'open'`,
  );
  return Number(rows[0]?.['letters']);
}
