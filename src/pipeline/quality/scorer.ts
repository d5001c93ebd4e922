import type { EventDefinition } from '../../define/event.ts';
import type { StoredRule } from '../../define/quality.ts';
import { log } from '../../platform/logger.ts';
import type { KnownEvent, StorableEvent } from '../../storage/postgres/event-store.ts';
import type { JudgedRule } from '../../storage/postgres/quality-checks.ts';
import type { BatchContent, PendingBatch } from '../../storage/postgres/quality-pending.ts';
import type { RefusedEvent } from '../../storage/postgres/quarantine.ts';
import { identityOf } from '../identity.ts';
import type { StorePorts } from '../store.ts';
import { tallyEvents } from './assess.ts';
import { addUp, EMPTY_TALLY, type ScoreBatch, type Tallies } from './tally.ts';

/** The worker that made a transaction may still score it until it is this old, in milliseconds. */
export const PENDING_GRACE_MS = 60_000;
/** The most transactions that are read, looked up and settled at once. */
const PAGE_BATCHES = 500;
/** The most pages of one pass: 25,000 transactions a minute are more than the counting object handles. */
const PASS_PAGES_MAX = 50;
/** The most transactions that a pass scores. Each takes four requests, of the thousand that a worker may make. */
const PASS_BATCHES_MAX = 100;
/** A pass ends after this many events: a hundred more reads, and less than a second of CPU. */
const PASS_EVENTS_MAX = 20_000;
/** The window of the gate, in milliseconds. An older transaction is settled without being scored. */
const PENDING_KEPT_MS = 24 * 3_600_000;

export interface ScorePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  /** Judges the rules that need the database, for one transaction. */
  readonly judgeStored: (
    rules: readonly { readonly type: string; readonly rule: StoredRule }[],
    batch: string,
  ) => Promise<readonly JudgedRule[]>;
  /** Counts a batch. A batch that is sent again is not counted again. */
  readonly send: (batch: ScoreBatch) => Promise<void>;
}

export interface ScoredStorePorts extends ScorePorts {
  readonly storeEvents: (events: readonly StorableEvent[], batch: string) => Promise<readonly KnownEvent[]>;
  /** Returns the fingerprints of those that are new. */
  readonly keepRefused: (refused: readonly RefusedEvent[], batch: string) => Promise<ReadonlySet<string>>;
  readonly newId: () => string;
  readonly now: () => number;
  /** Keeps the scoring alive after the answer. */
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/**
 * Storing that scores its new events in the background, under the id of their transaction. The caller does not wait for
 * the score, and a failed score does not fail the storing: the database lists the transaction as pending.
 */
export function scoredStore(ports: ScoredStorePorts): Pick<StorePorts, 'storeEvents' | 'keepRefused'> {
  const scored = (batch: string, content: BatchContent) => {
    if (content.stored.length + content.refused.length === 0) return;
    const atMs = ports.now();
    const { stored, refused } = content;
    const work = async () => await score(batch, atMs, tallyEvents(ports.types, stored, refused, atMs), ports);
    ports.keepAlive(
      work().catch((error) => {
        const message = 'The quality of a transaction could not be scored at once; a later pass scores it.';
        log('warn', message, { 'event.action': 'quality-score', 'millrace.batch': batch }, error);
      }),
    );
  };
  return {
    storeEvents: async (events) => {
      const batch = ports.newId();
      const known = await ports.storeEvents(events, batch);
      const old = new Set(known.map(identityOf));
      const fresh = old.size === 0 ? events : events.filter((event) => !old.has(identityOf(event)));
      scored(batch, { stored: fresh, refused: [] });
      return known;
    },
    keepRefused: async (refused) => {
      if (refused.length === 0) return;
      const batch = ports.newId();
      const kept = await ports.keepRefused(refused, batch);
      scored(batch, { stored: [], refused: refused.filter(({ fingerprint }) => kept.has(fingerprint)) });
    },
  };
}

export interface SettlePorts extends ScorePorts {
  readonly now: () => number;
  /** Unsettled transactions that are older than the grace period. */
  readonly readPending: (limits: {
    readonly graceMs: number;
    readonly limit: number;
  }) => Promise<readonly PendingBatch[]>;
  /** The ids of those that were never counted. */
  readonly uncounted: (ids: readonly string[]) => Promise<readonly string[]>;
  readonly readBatch: (batch: string) => AsyncIterable<BatchContent>;
  readonly settle: (ids: readonly string[]) => Promise<void>;
}

/**
 * Scores committed transactions that were never counted, from their stored events, and settles the counted ones. Safe to
 * repeat, and to run in several places at once.
 *
 * @returns how many transactions it scored.
 */
export async function scorePending(ports: SettlePorts): Promise<number> {
  const spent = { batches: 0, events: 0 };
  for (let page = 0; page < PASS_PAGES_MAX && !isSpent(spent); page += 1) {
    const pending = await ports.readPending({ graceMs: PENDING_GRACE_MS, limit: PAGE_BATCHES });
    if (pending.length > 0) await settlePage(pending, spent, ports);
    if (pending.length < PAGE_BATCHES) break;
  }
  return spent.batches;
}

/** The work that a pass has done so far, compared with its limits. */
interface Spent {
  batches: number;
  events: number;
}

function isSpent({ batches, events }: Spent): boolean {
  return batches >= PASS_BATCHES_MAX || events >= PASS_EVENTS_MAX;
}

async function settlePage(pending: readonly PendingBatch[], spent: Spent, ports: SettlePorts): Promise<void> {
  const uncounted = new Set(await ports.uncounted(pending.map(({ id }) => id)));
  const missed = pending.filter(({ id }) => uncounted.has(id));
  const oldest = ports.now() - PENDING_KEPT_MS;
  const inTime = missed.filter(({ atMs }) => atMs >= oldest);
  const left = new Set(inTime.map(({ id }) => id));
  for (const { id, atMs } of inTime) {
    if (isSpent(spent)) break;
    let tallies: Tallies = {};
    for await (const { stored, refused } of ports.readBatch(id)) {
      tallies = sum(tallies, tallyEvents(ports.types, stored, refused, atMs));
      spent.events += stored.length + refused.length;
    }
    await score(id, atMs, tallies, ports);
    left.delete(id);
    spent.batches += 1;
  }
  await ports.settle(pending.map(({ id }) => id).filter((id) => !left.has(id)));
  const lost = missed.length - inTime.length;
  if (lost > 0) {
    const fields = { 'event.action': 'quality-settle', 'millrace.count': lost };
    log(
      'error',
      'Transactions were not scored within 24 hours; their events are missing from the quality scores.',
      fields,
    );
  }
}

async function score(batch: string, atMs: number, tallies: Tallies, ports: ScorePorts): Promise<void> {
  const rules = Object.keys(tallies).flatMap((type) =>
    (ports.types.get(type)?.quality.storedRules ?? []).map((rule) => ({ type, rule })),
  );
  const judged = rules.length === 0 ? [] : await ports.judgeStored(rules, batch);
  let types = tallies;
  for (const { type, rule, judged: times, failed } of judged) {
    if (times === 0) continue;
    const counted = { [rule.name]: { dimension: rule.dimension, judged: times, failed } };
    types = sum(types, { [type]: { ...EMPTY_TALLY, rules: counted } });
  }
  await ports.send({ id: batch, atMs, types: { ...types } });
}

function sum(a: Tallies, b: Tallies): Tallies {
  return addUp(
    [a, b].flatMap((tallies) => Object.entries(tallies).map(([type, tally]) => ({ type, tally }))),
  );
}
