import { sql } from 'drizzle-orm';
import { tagHash } from '../../../src/cache/clock/tag-hash.ts';
import { windowName } from '../../../src/define/feature.ts';
import { DigestTally } from '../../../src/features/digest.ts';
import { shardOf } from '../../../src/features/shards.ts';
import * as catalogFeatures from '../../support/catalog/features.ts';
import { catalog } from '../../support/catalog/index.ts';
import type { SimulatedDatabase } from './database.ts';
import { cloudEventOf, type PlannedEvent } from './schedule.ts';
import type { World } from './world.ts';

type Row = Readonly<Record<string, unknown>>;
interface Fact {
  readonly seq: number;
  readonly id: string;
  readonly data: { sku: string; customerId: string; quantity: number; invoice: string };
  readonly occurredAt: number;
}

const DAY_MS = 86_400_000;
/** The type of all events of the schedules. */
const EVENT_TYPE = 'shop.purchase.v1';
/** Days as of which windows are read: those that are kept for callers whose clock is behind, today, and tomorrow. */
const DAYS_JUDGED = 3;

/** Every violation that is left when no work is left. @param mended whether all dead letters must be replayed, too. */
export async function judge(world: World, { db }: SimulatedDatabase, mended: boolean): Promise<string[]> {
  const all = async (query: string) => (await db.execute(sql.raw(query))).rows as Row[];
  const events = (
    await all(
      'select seq, id, data, extract(epoch from occurred_at) * 1000 as occurred_at from millrace.events order by seq',
    )
  ).map(
    (row): Fact => ({
      seq: Number(row['seq']),
      id: String(row['id']),
      data: row['data'] as Fact['data'],
      occurredAt: Math.round(Number(row['occurred_at'])),
    }),
  );
  const quarantine = await all('select id, reason, state, raw from millrace.quarantine order by id');
  const found = [
    ...accountedFor(world, events, quarantine, mended),
    ...onlyOnce(events, await all('select event_seq, invoice, quantity from purchases'), 'purchases'),
    ...outbox(
      world,
      events,
      await all('select id, event_seq, tags, relayed_at, relayed_seq from millrace.outbox'),
    ),
    ...features(
      world,
      events.filter(({ data }) => mended || !data.invoice.startsWith('folding-fails')),
    ),
    ...(await windows(
      world,
      events.filter(({ data }) => mended || !data.invoice.startsWith('folding-fails')),
    )),
    ...(await digests(world)),
    ...world.seen,
  ];
  for (const [tag, seq] of world.foldedAt) {
    if ((world.invalidatedAt.get(tagHash(tag)) ?? 0) <= seq)
      found.push(`${tag} is folded and not invalidated.`);
  }
  const deleted = Object.values(world.queues).flatMap((queue) => queue.deleted);
  if (deleted.length > 0) found.push(`${deleted.length} messages were deleted by the platform.`);
  return found;
}

/** Checks that each event that a client sent is in one place: the history, the quarantine, or a dead letter. */
function accountedFor(
  world: World,
  events: readonly Fact[],
  quarantine: readonly Row[],
  mended: boolean,
): string[] {
  const found: string[] = [];
  const places = new Map<string, string[]>();
  const put = (id: string, data: unknown, place: string) => {
    const said = saidOf(id, data);
    places.set(said, [...(places.get(said) ?? []), place]);
  };
  for (const { id, data } of events) put(id, data, 'history');
  const letters = quarantine.filter(({ reason }) => reason === 'dead_letter');
  for (const { reason, raw } of quarantine) {
    if (reason === 'dead_letter') continue;
    const { id, data } = raw as { id: string; data: unknown };
    put(id, data, String(reason));
  }
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const deadFolds = new Set<number>();
  for (const { raw, state } of letters) {
    const letter = raw as Record<string, { id: string; data: { invoice: string }; seq: number }[]>;
    if (state !== 'open') continue;
    for (const { id, data } of letter['accepted'] ?? []) {
      put(id, data, 'dead');
      if (!data.invoice.startsWith('storing-fails'))
        found.push(`${id} is a dead letter although it met no defect.`);
    }
    for (const { seq } of letter['events'] ?? []) {
      const id = bySeq.get(seq)?.id ?? '?';
      if (deadFolds.has(seq)) found.push(`The fold of ${id} has two dead letters.`);
      deadFolds.add(seq);
      if (!bySeq.get(seq)?.data.invoice.startsWith('folding-fails'))
        found.push(`The fold of ${id} is a dead letter although it met no defect.`);
    }
    const isGarbage = letter['accepted'] === undefined && letter['events'] === undefined;
    if (mended && !isGarbage) found.push('A dead letter is open although all defects are repaired.');
  }
  if (!mended) {
    for (const { seq, id, data } of events)
      if (data.invoice.startsWith('folding-fails') && !deadFolds.has(seq))
        found.push(`The fold of ${id} fails, but is not a dead letter.`);
  }
  const garbage = letters.filter(({ raw }) => (raw as { v?: number }).v === 9).length;
  if (garbage !== (world.schedule.garbage ? 1 : 0)) found.push(`${garbage} letters of no known schema.`);
  const planned = new Map(
    world.schedule.requests.flatMap(({ events: sent }) =>
      sent.map((event): [string, PlannedEvent] => [saidOf(event.id, cloudEventOf(event).data), event]),
    ),
  );
  for (const [said, event] of planned) {
    const where = places.get(said) ?? [];
    if (where.length === 0) found.push(`${said} (${event.trait}) is lost.`);
    if (where.length > 1) found.push(`${said} (${event.trait}) is in ${where.join(' and ')}.`);
    if (mended && event.trait === 'good' && where.some((place) => !/history|conflicting/.test(place)))
      found.push(`${said} is valid, but is in ${where.join()}.`);
  }
  for (const said of places.keys()) if (!planned.has(said)) found.push(`No client sent ${said}.`);
  return found;
}

function saidOf(id: string, data: unknown): string {
  const { invoice, quantity } = data as { invoice: string; quantity: number };
  return `${id} with ${quantity} (${invoice})`;
}

function onlyOnce(events: readonly Fact[], rows: readonly Row[], what: string): string[] {
  const told = (seq: unknown, { invoice, quantity }: Row) => `#${String(seq)} ${invoice} ${quantity}`;
  const owed = events.map(({ seq, data }) => told(seq, data)).sort();
  const there = rows.map((row) => told(row['event_seq'], row)).sort();
  return differences(owed, there, what);
}

function outbox(world: World, events: readonly Fact[], rows: readonly Row[]): string[] {
  const ofEvents = rows.filter((row) => row['event_seq'] !== null);
  const found = differences(
    events.map(({ seq }) => String(seq)).sort(),
    ofEvents.map((row) => String(row['event_seq'])).sort(),
    'the outbox',
  );
  for (const row of rows) {
    if (row['relayed_at'] === null) found.push(`The change ${String(row['event_seq'])} was never relayed.`);
    if (!world.told.has(Number(row['id'])))
      found.push(`The feed did not get the change ${String(row['id'])}.`);
    for (const tag of row['tags'] as string[]) {
      const at = world.invalidatedAt.get(tagHash(tag)) ?? 0;
      if (at < Number(row['relayed_seq']))
        found.push(`${tag} is marked as invalidated, but was not invalidated.`);
    }
  }
  return found;
}

/** Compares every cell with the value that a plain computation gives from the history, except what is expired. */
function features(world: World, events: readonly Fact[]): string[] {
  const owed = new Map<string, { amount: number; lastAt: number }>();
  const add = (entity: string, key: string, feature: string, bucket: number, item: string, fact: Fact) => {
    const amount = amountOf(feature, fact);
    const cell = [shardOf(entity, key), key, feature, bucket, item].join(' ');
    const before = owed.get(cell) ?? { amount: 0, lastAt: 0 };
    // Of a time that stands for itself the amount says nothing.
    owed.set(cell, {
      amount: before.amount + amount,
      lastAt: Math.max(before.lastAt, fact.occurredAt),
    });
  };
  const isKept = (definition: { windowsDays: readonly number[] }, day: number) =>
    day > horizonOf(world) - Math.max(...definition.windowsDays);
  for (const fact of events) {
    const { sku, customerId } = fact.data;
    const day = Math.floor(fact.occurredAt / DAY_MS);
    if (isKept(catalogFeatures.purchases, day)) add('customer', customerId, 'purchases', day, '', fact);
    if (isKept(catalogFeatures.spend, day)) add('customer', customerId, 'spend_minor', day, '', fact);
    add('customer', customerId, 'last_purchase_at', 0, '', fact);
    add('customer', customerId, 'items', 0, sku, fact);
    if (isKept(catalogFeatures.units, day)) add('product', sku, 'units', day, '', fact);
    add('product', sku, 'last_sold_at', 0, '', fact);
  }
  const told = (cell: string, { amount, lastAt }: { amount: number; lastAt: number }) =>
    cell.includes('last_') ? `${cell}: ${lastAt}` : `${cell}: ${amount}, ${lastAt}`;
  return differences(
    [...owed].map(([cell, value]) => told(cell, value)).sort(),
    world
      .cells()
      .map((cell) => told(cell.name, cell))
      .sort(),
    'the features',
  );
}

/** What reads answer as of the noon of each day as of which a shard still answers, and of some that have not begun. */
async function windows(world: World, events: readonly Fact[]): Promise<string[]> {
  const owed: string[] = [];
  const there: string[] = [];
  const horizon = horizonOf(world);
  const counted = catalog.features.filter(({ eventType }) => eventType === EVENT_TYPE);
  for (const definition of counted.filter(({ windowsDays }) => windowsDays.length > 0)) {
    const entity = definition.entity.name;
    const keyOf = ({ data }: Fact) => (entity === 'product' ? data.sku : data.customerId);
    for (const [key, own] of Map.groupBy(events, keyOf)) {
      for (let day = horizon; day <= horizon + DAYS_JUDGED; day += 1) {
        const [row] = await world.shard(shardOf(entity, key)).read(entity, [key], (day + 0.5) * DAY_MS);
        for (const width of definition.windowsDays) {
          const told = (value: unknown) =>
            `${key}, ${definition.name} of ${width} days on day ${day}: ${value}`;
          const inside = own.filter(({ occurredAt }) => {
            const at = Math.floor(occurredAt / DAY_MS);
            return at <= day && at > day - width;
          });
          owed.push(told(inside.reduce((sum, fact) => sum + amountOf(definition.name, fact), 0)));
          there.push(told(row?.[windowName(definition.name, width)]?.value));
        }
      }
    }
  }
  return differences(owed, there, 'the windows');
}

/** A caller's clock may be two days behind: from this day on, reads are answered, and their cells kept. */
function horizonOf(world: World): number {
  return Math.floor(world.now / DAY_MS) - 2;
}

/** A shard keeps the digest of its cells up to date with every fold, sweep and flip. */
async function digests(world: World): Promise<string[]> {
  const found: string[] = [];
  for (const shard of world.shards.keys()) {
    const { events: _, ...kept } = await world.shard(shard).digest();
    const tally = new DigestTally();
    for (const { name, ...cell } of world.cellsOf(shard)) {
      const [, key = '', feature = '', bucket = '', item = ''] = name.split(' ');
      tally.add({ ...cell, state: '', key, feature, bucket: Number(bucket), item });
    }
    const { events: __, ...owed } = tally.change;
    if (JSON.stringify(kept) !== JSON.stringify(owed))
      found.push(`The digest of ${shard} is not that of its cells.`);
  }
  return found;
}

function amountOf(feature: string, fact: Fact): number {
  if (feature === 'units') return fact.data.quantity;
  return feature === 'spend_minor' ? spend(fact) : 1;
}

function spend({ data }: Fact): number {
  return data.quantity * 250;
}

function differences(owed: readonly string[], there: readonly string[], what: string): string[] {
  const found: string[] = [];
  for (const one of new Set([...owed, ...there])) {
    const count = (list: readonly string[]) => list.filter((other) => other === one).length;
    if (count(owed) !== count(there))
      found.push(`In ${what}, ${one} occurs ${count(there)} times instead of ${count(owed)} times.`);
  }
  return found;
}
