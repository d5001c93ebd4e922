import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import * as z from 'zod';
import { connect } from '../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../../test/support/node/fixture.ts';

const Started = z.object({
  connectionString: z.string(),
  directEndpoint: z.string(),
  unreliableEndpoint: z.string(),
});
const Closed = z.object({ fates: z.array(z.tuple([z.string(), z.number()])) });

/** A database of this run alone, and two ways to it. */
export interface Origin {
  readonly connectionString: string;
  /** For the worker: delays, refusals, lost answers. */
  readonly unreliableEndpoint: string;
  /** For other writers and for the last look: everything passes. */
  readonly db: ReturnType<typeof connect>;
  readonly kind: 'PGlite' | 'Postgres';
  calm(): void;
  /** Repeated, it returns what the first call does. @returns what befell the worker's statements, counted. */
  close(): Promise<[string, number][]>;
}

/**
 * A writer of versions that was given up may still have a statement under way: it must not undo a later one, or
 * versions would have no order. Only this run's database has this rule.
 */
const GUARD = `
create function no_step_back() returns trigger language plpgsql as $$
begin
  if new.unit_price < old.unit_price then
    raise exception 'a later version is there' using errcode = '40001';
  end if;
  return new;
end $$`;
const GUARD_TRIGGER =
  'create trigger no_step_back before update on products for each row execute function no_step_back()';
/** The statements of that rule. */
export const VERSION_GUARD = [GUARD, GUARD_TRIGGER] as const;

/** @param databaseUrl a server on which a database may be made and dropped; undefined for PGlite in memory. */
export async function startOrigin(databaseUrl: string | undefined): Promise<Origin> {
  const scratch = databaseUrl === undefined ? undefined : await createScratch(databaseUrl);
  const thread = new Worker(new URL('./origin-thread.ts', import.meta.url), {
    workerData: { databaseUrl: scratch?.url, migrationsDir: FIXTURE.migrationsDir },
  });
  const [message]: unknown[] = await once(thread, 'message');
  const { connectionString, directEndpoint, unreliableEndpoint } = Started.parse(message);
  const db = connect({ url: connectionString, endpoint: directEndpoint });
  for (const statement of VERSION_GUARD) await db.execute(sql.raw(statement));
  let closing: Promise<[string, number][]> | undefined;
  const close = async () => {
    thread.postMessage('close');
    const [last]: unknown[] = await once(thread, 'message');
    await thread.terminate();
    await scratch?.drop();
    return Closed.parse(last).fates;
  };
  return {
    connectionString,
    unreliableEndpoint,
    db,
    kind: scratch === undefined ? 'PGlite' : 'Postgres',
    calm: () => thread.postMessage('calm'),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

async function createScratch(databaseUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const admin = new pg.Client({ connectionString: databaseUrl });
  await admin.connect();
  const name = `millrace_verify_${process.pid}`;
  await admin.query(`create database ${name}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  const drop = async () => {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  };
  return { url: url.href, drop };
}
