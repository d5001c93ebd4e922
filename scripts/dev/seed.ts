import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { EventsMessage } from '../../queues/events/message.ts';
import type { Catalog } from '../../src/define/catalog.ts';
import type { Seed, SeedPorts } from '../../src/define/project.ts';
import { judge } from '../../src/pipeline/judge.ts';
import { storeMessages } from '../../src/pipeline/store.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { classifyFault, connect } from '../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../src/storage/postgres/event-store.ts';
import { keepRefused } from '../../src/storage/postgres/quarantine.ts';
import type { DevDatabase } from './database.ts';
import { queryOf } from './query.ts';

/** Events of one transaction: some hundred milliseconds of the embedded database. */
const BATCH_EVENTS = 2_000;

/**
 * Fills an empty database by the project's seed, if it may: a database that somebody names by DATABASE_URL is theirs,
 * and made-up rows in it could not be told from real ones. Events take the way that the queue's consumer gives them,
 * contract and quarantine and outbox included; only HTTP and the queue are left out, for speed.
 *
 * @returns whether the database was empty.
 */
export async function ensureSeed(
  database: DevDatabase,
  { catalog, seed, mayFill }: { catalog: Catalog; seed: Seed | undefined; mayFill: boolean },
  step: (text: string) => void,
): Promise<boolean> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(sql`select exists(select 1 from millrace.events) as filled`);
  if (String(rows[0]?.['filled']).startsWith('t')) return false;
  if (seed === undefined) {
    step('the database has no events, and src/catalog/project.ts names no seed to fill it');
    return true;
  }
  if (!mayFill) {
    step('the database of DATABASE_URL has no events, and is not seeded: --seed fills it with made-up data');
    return true;
  }
  const now = Date.now();
  const made = await seed({
    now,
    send: (events) => sendAll(db, catalog, events, now),
    query: queryOf(database),
  });
  step(`the empty database is seeded with ${made}`);
  return true;
}

async function sendAll(
  db: ReturnType<typeof connect>,
  { eventTypes: types }: Catalog,
  events: Parameters<SeedPorts['send']>[0],
  now: number,
): Promise<{ accepted: number; refused: number }> {
  let message: EventsMessage = { v: 1, receivedAt: now, accepted: [], refused: [] };
  const sent = { accepted: 0, refused: 0 };
  const flush = async () => {
    sent.accepted += message.accepted.length;
    sent.refused += message.refused.length;
    await storeMessages([message], {
      types,
      storeEvents: (accepted) => storeEvents(db, accepted, randomUUID()),
      keepRefused: async (refused) => void (await keepRefused(db, refused, randomUUID())),
      classifyFault,
      fingerprint: sha256Hex,
    });
    message = { v: 1, receivedAt: now, accepted: [], refused: [] };
  };
  for (const event of events) {
    const raw = { specversion: '1.0', ...event };
    const judged = judge(types, raw, now);
    if (judged.verdict === 'accepted') message.accepted.push(judged.event);
    else message.refused.push({ raw, ...judged.refusal });
    if (message.accepted.length + message.refused.length >= BATCH_EVENTS) await flush();
  }
  await flush();
  return sent;
}

/** Has all of history folded once more, for feature shards that are new to a database which is not. */
export async function relayHistory(database: DevDatabase, step: (text: string) => void): Promise<void> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.execute(sql`update millrace.outbox set relayed_at = null where event_seq is not null`);
  step('the state folder is new to this database: all of its history is being folded');
}
