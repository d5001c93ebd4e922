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
/** Changes that may have been in the local queues when a stack ended: folding is far less than an hour behind. */
const REPEATED_S = 3_600;

/** What is done with a database that has no events. */
export type SeedPlan =
  | { readonly kind: 'fill'; readonly seed: Seed }
  /** It stays empty, for the reason. */
  | { readonly kind: 'leave'; readonly reason: string };

/** The options that decide whether a database without events is seeded, and the state that they depend on. */
export interface SeedWishes {
  /** `--seed` */
  readonly seed: boolean;
  /** `--empty` */
  readonly empty: boolean;
  /** DATABASE_URL names the database; it is not the embedded one. */
  readonly isExternal: boolean;
  /** An earlier start left it empty by `--empty`. */
  readonly wasLeftEmpty: boolean;
}

/**
 * Decides whether an empty database is seeded. A database of DATABASE_URL is seeded only on request, because its owner
 * could not distinguish made-up rows from real ones.
 */
export function seedPlanOf(seed: Seed | undefined, wishes: SeedWishes): SeedPlan {
  const leave = (reason: string): SeedPlan => ({ kind: 'leave', reason });
  if (seed === undefined) return leave('src/catalog/project.ts declares no seed');
  if (wishes.empty) return leave('--empty keeps it empty');
  if (wishes.seed) return { kind: 'fill', seed };
  if (wishes.wasLeftEmpty) return leave('an earlier start had --empty; --seed fills it with made-up data');
  if (wishes.isExternal)
    return leave('a database of DATABASE_URL is filled with made-up data only with --seed');
  return { kind: 'fill', seed };
}

/** Whether the database has any event. */
export async function hasEvents(database: DevDatabase): Promise<boolean> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(sql`select exists(select 1 from millrace.events) as filled`);
  return String(rows[0]?.['filled']).startsWith('t');
}

/**
 * Fills a database by the project's seed. Events pass through the same steps as in the queue's consumer, contract and
 * quarantine and outbox included; only HTTP and the queue are left out, for speed.
 *
 * @returns what the seed says that it made.
 */
export async function fillDatabase(database: DevDatabase, catalog: Catalog, seed: Seed): Promise<string> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const now = Date.now();
  return await seed({
    now,
    send: (events) => sendAll(db, catalog, events, now),
    query: queryOf(database),
  });
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

/**
 * Relays the newest changes once more, after a stop that left some of them in the local queues. Folds are idempotent.
 *
 * @returns how many.
 */
export async function relayNewest(database: DevDatabase): Promise<number> {
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { rows } = await db.execute(sql`
    with again as (
      update millrace.outbox set relayed_at = null
      where event_seq is not null
        and relayed_at >= (select max(relayed_at) from millrace.outbox) - make_interval(secs => ${REPEATED_S})
      returning 1)
    select count(*)::int as changes from again`);
  return Number(rows[0]?.['changes'] ?? 0);
}
