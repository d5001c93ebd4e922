/** The shop's tills and its visitors, beside a running worker: purchases by time, and people who read their recommendations. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from '../../../../test/support/node/stack.ts';
import { WITHIN_S } from './fast-clock.ts';
import type { Season, World } from './world.ts';

const PER_SECOND = 25;
const POST_EVERY_MS = 1_000;
const READERS = 3;
const READ_EVERY_MS = 350;
const BATCH_MAX = 1_000;

/** An answer that a customer read, and whether they bought an item of it in the time after. */
export interface Read {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly customer: string;
  readonly version: string;
  readonly source: string;
  readonly items: ReadonlySet<string>;
  isHit: boolean;
}

export class Shop {
  season: Season = 'old';
  readonly reads: Read[] = [];
  /** How many requests failed, by method, status and code. */
  readonly failures = new Map<string, number>();
  events = 0;
  readonly #stack: Stack;
  readonly #world: World;
  readonly #open = new Map<string, Read[]>();
  #isOpen = true;
  /** Until when purchases were made. What was bought while a busy stack took others is posted late, and not left out. */
  #until = Date.now();
  readonly #work: Promise<unknown>[] = [];

  constructor(stack: Stack, world: World) {
    this.#stack = stack;
    this.#world = world;
  }

  /** Posts what was bought before now, at once. */
  async history(ms: number): Promise<void> {
    this.#until = Date.now();
    const purchases = this.#world.purchases(this.#until - ms, this.#until, PER_SECOND, 'old');
    await this.#post(purchases, true);
  }

  /** From now on customers buy. */
  open(): void {
    this.#work.push(this.#tills());
  }

  /** From now on they read their recommendations, too: without a version there are none. */
  recommend(): void {
    this.#work.push(...Array.from({ length: READERS }, () => this.#reader()));
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#work);
  }

  /** The share of answers that were hits, of those whose window has ended; undefined without any. */
  hitRate(from: number, to: number): number | undefined {
    const own = this.reads.filter(({ at }) => at >= from && at < to);
    return own.length === 0 ? undefined : own.filter(({ isHit }) => isHit).length / own.length;
  }

  async #tills(): Promise<void> {
    while (this.#isOpen) {
      await sleep(POST_EVERY_MS);
      const from = this.#until;
      this.#until = Date.now();
      await this.#post(this.#world.purchases(from, this.#until, PER_SECOND, this.season));
    }
  }

  /** @param isHistory whether they are posted in the lane of bulk, and until they are stored. */
  async #post(purchases: ReturnType<World['purchases']>, isHistory = false): Promise<void> {
    for (const { customer, sku, at } of purchases)
      for (const read of this.#open.get(customer) ?? [])
        if (at > read.at && at <= read.at + WITHIN_S * 1_000 && read.items.has(sku)) read.isHit = true;
    for (let start = 0; start < purchases.length; start += BATCH_MAX) {
      const batch = purchases.slice(start, start + BATCH_MAX);
      const { status, json } = await this.#stack.caller.ask('POST', '/v1/events', {
        body: JSON.stringify(batch.map((purchase) => this.#world.event(purchase))),
        contentType: 'application/cloudevents-batch+json',
        headers: isHistory ? { prefer: 'wait', 'millrace-lane': 'bulk' } : {},
      });
      if (status >= 300) this.#failed('POST', status, json);
      else this.events += batch.length;
    }
  }

  async #reader(): Promise<void> {
    while (this.#isOpen) {
      const customer = this.#world.customer();
      const { status, json } = await this.#stack.caller.ask(
        'GET',
        `/v1/customers/${customer}/recommendations`,
      );
      if (status === 200) this.#note(customer, json);
      else this.#failed('GET', status, json);
      await sleep(READ_EVERY_MS);
    }
  }

  #failed(method: string, status: number, json: Readonly<Record<string, unknown>>): void {
    const kind = `${method} ${status} ${String(json['code'])}`;
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
  }

  #note(customer: string, json: Readonly<Record<string, unknown>>): void {
    const listed = json['items'] as readonly { readonly item: string }[];
    const items = new Set(listed.slice(0, 10).map(({ item }) => item));
    const version = String(Reflect.get(Object(json['model']), 'version'));
    const read = { at: Date.now(), customer, version, source: String(json['source']), items, isHit: false };
    this.reads.push(read);
    const open = (this.#open.get(customer) ?? []).filter(({ at }) => at > read.at - WITHIN_S * 1_000);
    this.#open.set(customer, [...open, read]);
  }
}
