/** The demo's shop without a stack: a version is trained from its history, and the rows that it is asked for are watched. */

import { historyOfEvents } from '../../../../../scripts/models/local-run/history.ts';
import { trainLocally } from '../../../../../scripts/models/local-run/run.ts';
import { Evaluator } from '../../../../../src/inference/evaluator/evaluator.ts';
import { SCORE } from '../../../../../src/inference/observed-rows.ts';
import { parseCandidates } from '../../../../../src/inference/registry.ts';
import type { DriftProfile } from '../../../../../src/training/drift/profile.ts';
import { DriftWatch } from '../../../../../src/training/drift/watch.ts';
import { modelList, scorerOf } from '../../../../../src/training/rankings/lists.ts';
import { fastRanker } from '../../../bench/learning/fast-clock.ts';
import { type MadePurchase, type Season, World } from '../../../bench/learning/world.ts';
import { eventsOf } from '../../../training/purchases.ts';

const PER_SECOND = 25;
const OPENED = Date.UTC(2026, 10, 30);
/** As the demo does: the history before the shop opens, the snapshot, and the first answers of the version. */
const [HISTORY_MS, SNAPSHOT_MS, ANSWERS_MS] = [180_000, 15_000, 100_000];
const ITEMS_MAX = 64;

export class WatchedShop {
  readonly #world: World;
  readonly #purchases: MadePurchase[];
  #now = OPENED + SNAPSHOT_MS;
  #watch: DriftWatch | undefined;
  #row: ((customer: string) => number[] | undefined) | undefined;

  constructor(seed: number) {
    this.#world = new World(seed);
    this.#purchases = this.#world.purchases(OPENED - HISTORY_MS, this.#now, PER_SECOND, 'old');
  }

  async train(seed: number): Promise<void> {
    const purchases = this.#purchases.map(({ at, customer, sku }) => ({ at, customer, sku, quantity: 1 }));
    const history = historyOfEvents(eventsOf(purchases));
    let profile: DriftProfile | undefined;
    const { bundle, run } = await trainLocally({
      ...{ definition: fastRanker, history, from: OPENED - HISTORY_MS, to: this.#now, seed },
      keepProfile: (made) => {
        profile = made;
      },
    });
    if (profile === undefined || bundle.model === undefined || bundle.candidates === undefined)
      throw new Error(`The run made no profile: ${run.evaluation?.rows} queries.`);
    this.#watch = new DriftWatch(profile);
    const { inputs, outputs } = bundle.manifest;
    const session = Evaluator.read(bundle.model, { inputs, outputs });
    const score = scorerOf(session, inputs[0]?.name ?? '', outputs[0]?.name ?? '');
    const candidates = parseCandidates(fastRanker, bundle.candidates);
    this.#row = (customer) => {
      const list = modelList({ at: this.#now, features: this.#featuresOf(customer) }, candidates, score);
      return list.first && [...list.first.values, list.first.score];
    };
    this.#sell(OPENED + ANSWERS_MS, 'old');
  }

  /** Answers some reads in a season. @returns the drift that was found, with the rows of it. */
  serve(rows: number, season: Season) {
    const columns = [...fastRanker.columns, SCORE];
    for (let read = 0; read < rows; read += 1) {
      this.#sell(this.#now + 140, season);
      const row = this.#row?.(this.#world.customer());
      if (row !== undefined) this.#watch?.add(columns, [row], this.#now);
    }
    return this.#watch?.current?.found;
  }

  #sell(until: number, season: Season): void {
    this.#purchases.push(...this.#world.purchases(this.#now, until, PER_SECOND, season));
    this.#now = until;
  }

  /** As the feature store has them: what was bought, newest first. */
  #featuresOf(customer: string): Record<string, unknown> {
    const items = new Map<string, { item: string; count: number; lastAt: number }>();
    for (const { customer: of, sku, at } of this.#purchases)
      if (of === customer) items.set(sku, { item: sku, count: (items.get(sku)?.count ?? 0) + 1, lastAt: at });
    const newest = [...items.values()].sort((a, b) => b.lastAt - a.lastAt || (a.item < b.item ? -1 : 1));
    const last = newest[0]?.lastAt ?? null;
    return { items: newest.slice(0, ITEMS_MAX), last_purchase_at: last, purchases_30d: 0, purchases_365d: 0 };
  }
}
