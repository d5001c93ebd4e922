import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

const POLL_MS = 50;
/** The pause between two live events, in milliseconds: too few of them to be a load. */
const PAUSE_MS = 1_000;
/** A live event that took longer than this is reported as lost, in milliseconds. */
const GIVE_UP_MS = 300_000;
const CUSTOMER = '99001';
const SKU = '85123A';

const Status = z.object({ status: z.string() });
const Purchases = z.object({ purchases: z.array(z.object({ invoice: z.string() })) });

/** Milliseconds from the request of one live event to each of these. */
export interface Delays {
  readonly accepted: number;
  readonly stored: number;
  /** A bounded read of a cached page shows the event. */
  readonly fresh: number;
  /** The features count the event. */
  readonly folded: number;
}

/** Purchases of one customer, one at a time, each followed until every answer shows it. */
export class LiveEvents {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #run = randomUUID().slice(0, 8);
  #sent = 0;

  constructor(base: URL, key: string) {
    this.#base = base;
    this.#headers = { authorization: `Bearer ${key}` };
  }

  /** Sends events until `work` has ended. */
  async until(work: () => Promise<void>): Promise<Delays[]> {
    let isOver = false;
    const working = work().finally(() => {
      isOver = true;
    });
    const delays: Delays[] = [];
    while (!isOver) {
      delays.push(await this.#follow());
      await sleep(PAUSE_MS);
    }
    await working;
    return delays;
  }

  async #follow(): Promise<Delays> {
    // The page is cached before the event, so that a fresh answer takes an invalidation.
    await this.#shows('');
    const before = await this.#counted();
    this.#sent += 1;
    const invoice = `live-${this.#run}-${this.#sent}`;
    const startedAt = performance.now();
    await this.#send(invoice);
    const since = () => performance.now() - startedAt;
    const accepted = since();
    const [stored, fresh, folded] = await Promise.all([
      this.#untilTrue(() => this.#isStored(invoice)).then(since),
      this.#untilTrue(() => this.#shows(invoice)).then(since),
      this.#untilTrue(async () => (await this.#counted()) > before).then(since),
    ]);
    return { accepted, stored, fresh, folded };
  }

  async #untilTrue(ask: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + GIVE_UP_MS;
    while (!(await ask())) {
      if (performance.now() > until) throw new Error('A live event never arrived.');
      await sleep(POLL_MS);
    }
  }

  async #send(invoice: string): Promise<void> {
    const data = { invoice, sku: SKU, description: null, quantity: 1, unitPrice: 2.55, customerId: CUSTOMER };
    const event = { specversion: '1.0', id: invoice, source: '/bench/live', type: 'shop.purchase.v1' };
    const response = await fetch(new URL('/v1/events', this.#base), {
      method: 'POST',
      headers: { ...this.#headers, 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify({ ...event, data: { ...data, country: 'Norway' } }),
    });
    if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  }

  async #isStored(invoice: string): Promise<boolean> {
    const answer = await this.#get(`/v1/events/${encodeURIComponent('/bench/live')}/${invoice}`);
    return Status.safeParse(answer).data?.status === 'stored';
  }

  async #shows(invoice: string): Promise<boolean> {
    const page = Purchases.safeParse(await this.#get(`/v1/customers/${CUSTOMER}/purchases?limit=5`));
    return page.data?.purchases.some((purchase) => purchase.invoice === invoice) ?? false;
  }

  async #counted(): Promise<number> {
    const response = await fetch(new URL('/v1/features/read', this.#base), {
      method: 'POST',
      headers: { ...this.#headers, 'content-type': 'application/json' },
      body: JSON.stringify({ entity: 'customer', keys: [CUSTOMER], features: ['purchases_30d'] }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    return Number(/"value":(\d+)/.exec(text)?.[1] ?? 0);
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(new URL(path, this.#base), { headers: this.#headers });
    return await response.json();
  }
}

export function tellDelays(when: string, delays: readonly Delays[]): void {
  console.log(`live events ${when}: ${delays.length}`);
  for (const name of ['accepted', 'stored', 'fresh', 'folded'] as const) {
    const sorted = delays.map((delay) => delay[name]).sort((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0);
    console.log(`  ${name.padEnd(8)} p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, most ${at(1)} ms`);
  }
}
