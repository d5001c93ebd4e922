import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { LineIdentity, toCloudEvent } from '../../examples/shop/import/event.ts';
import { generateLines } from '../../examples/shop/seed/generator.ts';
import type { EventsMessage } from '../../queues/events/message.ts';
import { catalog } from '../../src/catalog/index.ts';
import { judge } from '../../src/pipeline/judge.ts';
import { storeMessages } from '../../src/pipeline/store.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { classifyFault, connect } from '../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../src/storage/postgres/event-store.ts';
import { keepRefused } from '../../src/storage/postgres/quarantine.ts';
import type { DevDatabase } from './database.ts';

const SHOP = { seed: 1, customers: 4_500, lines: 60_000 };
const BATCH_LINES = 2_000;

/**
 * Fills an empty database with a made-up shop, if it may: a database that somebody names by DATABASE_URL is theirs,
 * and made-up rows in it could not be told from real ones. The lines take the way that the queue's consumer gives
 * events, contract and quarantine and outbox included; only HTTP and the queue are left out, for speed.
 *
 * @returns whether the database was empty.
 */
export async function ensureSeed(
  database: DevDatabase,
  mayFill: boolean,
  step: (text: string) => void,
): Promise<boolean> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(sql`select exists(select 1 from millrace.events) as filled`);
  if (String(rows[0]?.['filled']).startsWith('t')) return false;
  if (!mayFill) {
    step('the database of DATABASE_URL has no events, and is not seeded: --seed fills it with made-up data');
    return true;
  }
  const now = Date.now();
  let message: EventsMessage = { v: 1, receivedAt: now, accepted: [], refused: [] };
  const flush = async () => {
    await storeMessages([message], {
      types: catalog.eventTypes,
      storeEvents: (events) => storeEvents(db, events, randomUUID()),
      keepRefused: async (refused) => void (await keepRefused(db, refused, randomUUID())),
      classifyFault,
      fingerprint: sha256Hex,
    });
    message = { v: 1, receivedAt: now, accepted: [], refused: [] };
  };
  const identity = new LineIdentity();
  let lines = 0;
  for (const line of generateLines({ ...SHOP, until: new Date(now) })) {
    const raw = toCloudEvent(line, { source: '/seed', id: identity.idOf(line) });
    const judged = judge(catalog.eventTypes, raw, now);
    if (judged.verdict === 'accepted') message.accepted.push(judged.event);
    else message.refused.push({ raw, ...judged.refusal });
    lines += 1;
    if (lines % BATCH_LINES === 0) await flush();
  }
  await flush();
  step(`the shop is seeded with ${lines.toLocaleString('en')} invoice lines of 13 months`);
  return true;
}

/** Has all of history folded once more, for feature shards that are new to a database which is not. */
export async function relayHistory(database: DevDatabase, step: (text: string) => void): Promise<void> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  await db.execute(sql`update millrace.outbox set relayed_at = null where event_seq is not null`);
  step('the state folder is new to this database: all of its history is being folded');
}
