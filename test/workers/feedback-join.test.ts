import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { FeedbackStore } from '../../durable-objects/feedback/store.ts';
import { feedback } from '../../src/define/feedback.ts';
import { type ModelDefinition, model } from '../../src/define/model.ts';
import { fromFeature } from '../../src/define/model-input.ts';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { FeedbackJoin, type JoinPorts } from '../../src/inference/feedback/join.ts';
import { linesOf, type ServedRecord } from '../../src/inference/feedback/record.ts';
import { reportOf } from '../../src/inference/feedback/report.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { servedBefore } from '../../src/storage/served-files.ts';
import { customer } from '../support/catalog/entities.ts';
import { purchase } from '../support/catalog/events.ts';
import { purchases } from '../support/catalog/features.ts';
import { ranker } from '../support/catalog/models.ts';
import { recordWith } from '../support/feedback/answers.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23);
const SETTLE_MS = 60_000;

/** A purchase of the customer, stored after it happened. */
interface Bought {
  readonly key: string;
  readonly sku: string;
  readonly at: number;
  readonly storedAt: number;
}

/** The log, the events and the clock around a join. */
class World {
  now = NOW;
  readonly files = new Map<string, string>();
  readonly compared: { readonly model: string; readonly rollout: string; readonly batches: unknown }[] = [];
  readonly store: FeedbackStore;
  readonly #models: readonly ModelDefinition[];
  readonly #bought: Bought[] = [];
  /** Fails the next calls of a port. */
  failures = 0;

  constructor(storage: DurableObjectStorage, models: readonly ModelDefinition[] = [ranker]) {
    this.store = new FeedbackStore(storage);
    this.#models = models;
  }

  write(atMs: number, records: readonly ServedRecord[]): void {
    this.files.set(`${servedBefore(atMs)}-${this.files.size}.jsonl`, linesOf(records));
  }

  buy(...bought: readonly Bought[]): void {
    this.#bought.push(...bought);
    this.#bought.sort((a, b) => a.storedAt - b.storedAt);
  }

  get #stored(): FoldableEvent[] {
    const data = { invoice: '1', quantity: 1, unitPrice: 1, country: 'UK' };
    return this.#bought
      .filter(({ storedAt }) => storedAt <= this.now)
      .map(({ key: customerId, sku, at }, index) => ({
        ...{ seq: index + 1, type: 'shop.purchase.v1', occurredAt: at },
        data: { ...data, customerId, sku },
      }));
  }

  #call<T>(answer: () => T): T {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('The peer does not answer.');
    }
    return answer();
  }

  get ports(): JoinPorts {
    return {
      ...{ models: this.#models, now: () => this.now, settleMs: SETTLE_MS },
      files: {
        from: servedBefore,
        list: async (after, limit) =>
          this.#call(() => ({
            keys: [...this.files.keys()]
              .filter((key) => key > after)
              .sort()
              .slice(0, limit),
          })),
        read: async (key) => this.#call(() => this.files.get(key)),
      },
      newestSeq: async () => this.#call(() => this.#stored.length),
      events: async (types, { after, lastSeq, limit }) =>
        this.#call(() => {
          const due = this.#stored.filter(
            ({ seq, type }) => seq > after && seq <= lastSeq && types.includes(type),
          );
          return due.slice(0, limit);
        }),
      compared: async (name, rollout, batches) => void this.compared.push({ model: name, rollout, batches }),
    };
  }

  /** Steps until a moment, each time with an object that has lost its memory. */
  async until(atMs: number, everyMs = 60_000): Promise<void> {
    for (; this.now < atMs; this.now += everyMs) {
      for (;;) {
        const isBusy = await new FeedbackJoin(this.ports).step(this.store).catch(() => true);
        if (!isBusy) break;
      }
    }
  }

  report(of = 'ranker') {
    return reportOf(this.store.counts(of, '2026-01-01')).versions;
  }
}

let worlds = 0;
/** Does something in the storage of an object. */
async function inObject(work: (storage: DurableObjectStorage) => void | Promise<void>): Promise<void> {
  worlds += 1;
  await runInDurableObject(env.FEEDBACK.getByName(`join-${worlds}`), (_, state) => work(state.storage));
}
async function inWorld(
  work: (world: World) => Promise<void>,
  models?: readonly ModelDefinition[],
): Promise<void> {
  await inObject((storage) => work(new World(storage, models)));
}

describe('answers and events', () => {
  it('are joined: what was bought within a day of the answer, whoever stored it late', () =>
    inWorld(async (world) => {
      await world.until(NOW + 120_000);
      const at = NOW + 120_000;
      const asked = (key: string, changes: Partial<ServedRecord> = {}) => recordWith({ key, at, ...changes });
      world.write(at + 20_000, [
        ...['ada', 'bob', 'cid', 'dan', 'eve', 'fay', 'gil'].map((key) => asked(key)),
        // The second answer of a window belongs to the first.
        asked('ada', { at: at + 5_000 }),
        asked('hal', { degraded: 'model_failed', source: 'previous' }),
        asked('ian', { source: 'popularity' }),
        asked('jon', { explored: { pool: 4 } }),
      ]);
      const bought = (key: string, sku: string, afterMs: number, lateMs = 1_000) =>
        world.buy({ key, sku, at: at + afterMs, storedAt: at + afterMs + lateMs });
      bought('ada', 'b', 1_000);
      bought('ada', 'b', 2_000);
      bought('bob', 'other', 1_000);
      bought('cid', 'a', DAY_MS);
      bought('dan', 'a', DAY_MS + 1);
      bought('eve', 'a', 10_000, 50 * 60_000);
      bought('fay', 'a', 0);
      bought('hal', 'a', 1_000);
      bought('jon', 'a', 1_000);
      await world.until(at + 10 * 60_000);
      expect(world.report()).toMatchObject([
        { version: 'v1', pending: { trials: 8, hits: 2 }, ranked: { trials: 0 }, answers: { ranked: 8 } },
      ]);
      await world.until(at + DAY_MS + 3 * HOUR_MS, 10 * 60_000);
      expect(world.report()).toMatchObject([
        {
          pending: { trials: 0 },
          answers: { ranked: 8, explored: 1, degraded: 1, other: 1 },
          // Ada, Cid and Eve; Dan's, Fay's and Gil's windows have no purchase.
          ...{ ranked: { trials: 7, hits: 3 }, unlabelled: 3 },
          explored: { trials: 1, hits: 1 },
          positions: [
            { position: 1, ranked: { trials: 7, hits: 2 }, explored: { trials: 1, hits: 1 } },
            { position: 2, ranked: { trials: 7, hits: 1 }, explored: { trials: 1, hits: 0 } },
          ],
        },
      ]);
    }));

  it('of random times come to what a search of all pairs finds, whatever fails in between', async () => {
    for (let seed = 1; seed <= 4; seed += 1)
      await inWorld(async (world) => {
        const random = seededRandom(seed);
        const between = (least: number, most: number) => least + Math.floor(random() * (most - least));
        const records = Array.from({ length: 250 }, (_, at) =>
          recordWith({
            ...{ id: `p-${at}`, key: `k${between(0, 25)}`, version: `v${between(1, 3)}` },
            at: NOW + 60_000 + between(0, 3 * DAY_MS),
          }),
        ).sort((a, b) => a.at - b.at);
        for (const record of records) world.write(record.at + 30_000, [record]);
        const bought = Array.from({ length: 300 }, (_, at) => {
          const happened = NOW + between(0, 5 * DAY_MS);
          const sku = ['a', 'b', 'c'][between(0, 3)] ?? '';
          return {
            key: `k${between(0, 25)}`,
            sku,
            at: happened,
            storedAt: happened + between(0, 30 * 60_000) + at,
          };
        });
        world.buy(...bought);
        for (let hour = 0; hour < 6 * 24; hour += 6) {
          world.failures = between(0, 6);
          await world.until(NOW + hour * HOUR_MS, 20 * 60_000);
        }
        const opened = new Map<string, number>();
        const expected = new Map<string, { trials: number; hits: number }>();
        for (const { key, version, at } of records) {
          const id = `${version} ${key}`;
          if (at <= (opened.get(id) ?? Number.NEGATIVE_INFINITY) + DAY_MS) continue;
          opened.set(id, at);
          const isHit = bought.some(
            (one) => one.key === key && one.sku !== 'c' && one.at > at && one.at <= at + DAY_MS,
          );
          const sum = expected.get(version ?? '') ?? { trials: 0, hits: 0 };
          expected.set(version ?? '', { trials: sum.trials + 1, hits: sum.hits + (isHit ? 1 : 0) });
        }
        const found = world
          .report()
          .map(({ version, ranked: { trials, hits } }) => [version, { trials, hits }]);
        expect(Object.fromEntries(found), `seed ${seed}`).toEqual(Object.fromEntries(expected));
        expect(world.report().reduce((sum, { answers }) => sum + answers.ranked, 0)).toBe(records.length);
      });
  });

  it('of a prediction are compared by the declaration', async () => {
    const spend = model.regression({
      ...{ name: 'spend', description: 'A model.', entity: customer, outputs: { value: 'y' } },
      inputs: { x: { columns: { purchases: fromFeature(purchases.window(30), { default: 0 }) } } },
      feedback: feedback.ofAnswers({
        ...{ entity: customer, event: purchase, within: '2h', lateMinutes: 0 },
        key: ({ customerId }) => customerId,
        value: ({ quantity, unitPrice }) => quantity * unitPrice,
        hits: (paid, { value }) => Math.abs(paid - Number(value)) < 0.5,
      }),
    });
    await inWorld(
      async (world) => {
        await world.until(NOW + 60_000);
        const answers = [1.2, 5, 1].map((value, index) =>
          recordWith({ model: 'spend', key: `k${index}`, at: NOW + 60_000, items: null, answer: { value } }),
        );
        world.write(NOW + 60_000, answers);
        const at = NOW + 90_000;
        // All cost 1.
        world.buy(...['k0', 'k1'].map((key) => ({ key, sku: 'a', at, storedAt: at })));
        await world.until(NOW + 3 * HOUR_MS, 10 * 60_000);
        expect(world.report('spend')).toMatchObject([
          { ranked: { trials: 2, hits: 1 }, unlabelled: 1, positions: [] },
        ]);
      },
      [spend],
    );
  });

  it('from before the first step are not judged', () =>
    inWorld(async (world) => {
      world.write(NOW - 1_000, [recordWith({ at: NOW - 2_000 })]);
      await world.until(NOW + 10 * 60_000);
      expect(world.report()).toEqual([]);
    }));

  it('are dropped beyond a bound, and forgotten on request', () =>
    inObject((storage) => {
      const store = new FeedbackStore(storage, 2);
      const progress = {
        ...{ sinceMs: 0, file: '', seq: 0, targetMs: 0, targetSeq: 0 },
        ...{ nextMs: 0, nextSeq: 0 },
      };
      const trial = (key: string) => ({
        ...{
          model: 'ranker',
          version: 'v1',
          key,
          atMs: NOW,
          closesMs: NOW + 1,
          dueMs: NOW + 1,
          rollout: null,
        },
        ...{ isExplored: false, items: ['a'], answer: null, labelledMs: null, hits: [] },
      });
      store.addFile([], ['a', 'b', 'c'].map(trial), progress);
      const of = () => reportOf(store.counts('ranker', '2026-01-01')).versions[0];
      expect(of()).toMatchObject({ pending: { trials: 2 }, dropped: 1 });
      expect(store.trialsOf(['ranker'], 'a')).toBeGreaterThan(0);
      store.forget(['ranker'], 'a');
      expect(store.trialsOf(['ranker'], 'a')).toBe(0);
      expect(of()).toMatchObject({ pending: { trials: 1 } });
      store.addFile([], [trial('d')], progress);
      expect(of()).toMatchObject({ pending: { trials: 2 }, dropped: 1 });
    }));
});
