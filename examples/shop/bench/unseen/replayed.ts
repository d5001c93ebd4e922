/** A shop of a file, in its own time: versions are trained from purchases until a moment, and answer visits after it. */
import { performance } from 'node:perf_hooks';
import { historyOfEvents } from '../../../../scripts/models/local-run/history.ts';
import { trainLocally } from '../../../../scripts/models/local-run/run.ts';
import type { Candidates } from '../../../../src/define/candidates.ts';
import type { Bundle } from '../../../../src/inference/bundle.ts';
import { Evaluator } from '../../../../src/inference/evaluator/evaluator.ts';
import { parseCandidates } from '../../../../src/inference/registry.ts';
import { ANSWERERS_BY_DEFAULT } from '../../../../src/inference/segments.ts';
import { hashedFraction, hashText } from '../../../../src/platform/random.ts';
import { intervalOf, meanOf } from '../../../../src/training/measures/measure.ts';
import {
  type ModelList,
  modelList,
  popularList,
  type Scorer,
  scorerOf,
} from '../../../../src/training/rankings/lists.ts';
import type { TrainingRun } from '../../../../src/training/runs/run.ts';
import { ranker } from '../../catalog/models.ts';
import { isProduct } from '../../catalog/ranker.ts';
import { eventsOf, type Purchase } from '../../training/purchases.ts';

const DAY_MS = 86_400_000;
/** How long an answer waits for a purchase: as the declaration of `feedback` says. */
const WITHIN_MS = 28 * DAY_MS;
/** Items of a customer that the feature store keeps. */
const ITEMS_MAX = 64;

export interface Trained {
  readonly seconds: number;
  readonly evaluation: TrainingRun['evaluation'];
  readonly bundle: Bundle;
  readonly candidates: Candidates;
  readonly score: Scorer;
}

/** As the queries of a ranking's test are: by a customer who buys within four weeks. One day in 28 has each of them. */
interface Visit {
  readonly customer: string;
  readonly at: number;
}

export class Replayed {
  readonly #last: number;
  readonly #seed: number;
  readonly #sorted: readonly Purchase[];
  readonly #byCustomer: ReadonlyMap<string, readonly Purchase[]>;

  constructor(purchases: readonly Purchase[], seed: number) {
    this.#seed = seed;
    this.#sorted = purchases.toSorted((a, b) => a.at - b.at);
    this.#byCustomer = Map.groupBy(this.#sorted, ({ customer }) => customer);
    this.#last = this.#sorted.at(-1)?.at ?? 0;
  }

  /** Trains from the purchases before a moment, as a run of the worker does. */
  async train(until: number, champion: Trained | undefined): Promise<Trained> {
    const own = this.#sorted.filter(({ at }) => at < until);
    const startedMs = performance.now();
    const { bundle, run } = await trainLocally({
      ...{ definition: ranker, history: historyOfEvents(eventsOf(own)), seed: this.#seed },
      ...{ from: own[0]?.at ?? 0, to: (own.at(-1)?.at ?? 0) + 1 },
      ...(champion === undefined ? {} : { champion: champion.bundle }),
    });
    const seconds = (performance.now() - startedMs) / 1_000;
    if (bundle.model === undefined || bundle.candidates === undefined) throw new Error('A run makes both.');
    const { inputs, outputs } = bundle.manifest;
    const session = Evaluator.read(bundle.model, { inputs, outputs });
    return {
      ...{ seconds, evaluation: run.evaluation, bundle },
      candidates: parseCandidates(ranker, bundle.candidates),
      score: scorerOf(session, inputs[0]?.name ?? '', outputs[0]?.name ?? ''),
    };
  }

  /** The shares of answers with an item that the customer buys within four weeks, of the model's and the popular lists. */
  hitRates(version: Trained, from: number) {
    const hits = { served: [] as number[], popularity: [] as number[] };
    const units: number[] = [];
    const customers = new Map<string, number>();
    for (const visit of this.#visits(from, this.#last - WITHIN_MS)) {
      const { list, isByModel } = this.#answer(version, visit);
      const bought = new Set(
        this.#bought(visit.customer, visit.at, visit.at + WITHIN_MS).map(({ sku }) => sku),
      );
      const popular = popularList(version.candidates);
      const isHit = (items: readonly string[]) => Number(items.some((item) => bought.has(item)));
      hits.served.push(isHit(isByModel ? list.items : popular));
      hits.popularity.push(isHit(popular));
      const unit = customers.get(visit.customer) ?? customers.size;
      customers.set(visit.customer, unit);
      units.push(unit);
    }
    const rate = (values: readonly number[]) =>
      intervalOf(
        meanOf(values),
        values.map(() => 1),
        { seed: this.#seed, units },
      );
    return {
      answers: units.length,
      customers: customers.size,
      served: rate(hits.served),
      popularity: rate(hits.popularity),
    };
  }

  *#visits(from: number, to: number): Generator<Visit> {
    for (let at = from; at < to; at += DAY_MS)
      for (const customer of this.#byCustomer.keys())
        if (hashedFraction(hashText(customer, this.#seed), String(at)) < DAY_MS / WITHIN_MS)
          if (this.#bought(customer, at, at + WITHIN_MS).length > 0) yield { customer, at };
  }

  #answer(
    version: Trained,
    { customer, at }: Visit,
  ): { readonly list: ModelList; readonly isByModel: boolean } {
    const features = this.#features(customer, at);
    const list = modelList({ at, features }, version.candidates, version.score);
    const { segments = ANSWERERS_BY_DEFAULT } = version.bundle.manifest;
    const segment = features.items.length === 0 ? 'new' : 'returning';
    return { list, isByModel: segments[segment] === 'model' };
  }

  #bought(customer: string, from: number, to: number): Purchase[] {
    return (this.#byCustomer.get(customer) ?? []).filter(
      ({ at, sku }) => at >= from && at < to && isProduct(sku),
    );
  }

  /** As the feature store has them at a moment. */
  #features(customer: string, at: number) {
    const before = (this.#byCustomer.get(customer) ?? []).filter((purchase) => purchase.at < at);
    const items = new Map<string, { item: string; count: number; lastAt: number }>();
    for (const { sku: item, at: lastAt } of before)
      items.set(item, { item, count: (items.get(item)?.count ?? 0) + 1, lastAt });
    const newest = [...items.values()].sort((a, b) => b.lastAt - a.lastAt || (a.item < b.item ? -1 : 1));
    const within = (days: number) => before.filter((purchase) => purchase.at >= at - days * DAY_MS).length;
    return {
      ...{ purchases_30d: within(30), purchases_365d: within(365), items: newest.slice(0, ITEMS_MAX) },
      last_purchase_at: before.at(-1)?.at ?? null,
    };
  }
}
