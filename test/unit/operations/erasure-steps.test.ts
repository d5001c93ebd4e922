import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Found, NOTHING_FOUND, totalOf } from '../../../src/operations/erasure/found.ts';
import { type ErasurePorts, erasureStep } from '../../../src/operations/erasure/step.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { seededRandom } from '../../../src/platform/random.ts';
import type { TablePages } from '../../../src/storage/postgres/erasure-places.ts';
import type { Erasure, ErasureChange, ErasureMode } from '../../../src/storage/postgres/erasures.ts';

const AT = '2026-01-01T00:00:00.000Z';
/** More than two pages, with the entity in every seventh event. */
const EVENTS = 4_500;
/** A mistake of an erasure: it leaves one place as it is. */
type Left = 'cells' | 'kept' | 'outbox' | 'owned' | 'predictions' | 'quarantine' | 'served';

/** Everything that has data of the entity, in memory, and calls that fail before or after they have taken effect. */
class World {
  readonly events = Array.from({ length: EVENTS }, (_, at) => at + 1);
  readonly told = new Set<number>();
  owned = 2_500;
  kept = { entityRow: 1, removals: 1 };
  /** Rows of the key, by page of two tables. */
  quarantine = [1, 0, 2];
  predictions = [3, 1];
  served = [2, 2, 0];
  cells = 2_300;
  datasets = [{ id: 'd1', model: 'm', asOfMs: Date.parse(AT), begunMs: 0 }];
  outbox = Array.from({ length: 6 }, () => ({ isNamed: true, isRelayed: true }));
  rebuilt = 0;
  erasure: Erasure;
  readonly #fails: () => boolean;
  readonly #left: Left | undefined;

  constructor(fails: () => boolean, left?: Left) {
    this.#fails = fails;
    this.#left = left;
    this.erasure = this.begun('erase');
  }

  begun(mode: ErasureMode): Erasure {
    const { found } = this.erasure ?? { found: NOTHING_FOUND };
    const { types, firstRecordedAt, eventsEndedMs } = Found.parse(found);
    return {
      ...{ id: 'x', mode, run: 'r', state: 'events', cursor: 0, lastSeq: EVENTS, examined: 0, startedAt: AT },
      found: { ...NOTHING_FOUND, types, firstRecordedAt, eventsEndedMs },
    };
  }

  #isNamed = (seq: number) => seq % 7 === 0;
  #advance = (to: ErasureChange) => {
    this.erasure = { ...this.erasure, ...to };
  };

  #swept(table: number[], { from, isRemoving }: TablePages, name: Left) {
    const found = table[from] ?? 0;
    if (isRemoving && this.#left !== name) table[from] = 0;
    return { found, mentions: 0, next: from + 1 < table.length ? from + 1 : null };
  }

  /** Repeats the steps until it is over, whatever fails in between. */
  async run(mode: ErasureMode): Promise<Found> {
    this.erasure = this.begun(mode);
    for (let steps = 0; this.erasure.state !== 'done'; steps += 1) {
      if (steps > 5_000) throw new Error(`It stays in ${this.erasure.state}.`);
      await erasureStep(this.erasure, this.#ports()).catch((error: unknown) => {
        if (!(error instanceof Failure)) throw error;
      });
    }
    return Found.parse(this.erasure.found);
  }

  #ports(): ErasurePorts {
    const failing = async <T>(work: () => T): Promise<T> => {
      const away = () => new Failure('database_unavailable', 'Away.', { retryAfterS: 1 });
      if (this.#fails()) throw away();
      const result = work();
      if (this.#fails()) throw away();
      return result;
    };
    const some = (of: number) => Math.min(of, 1_000);
    const named = { tags: ['t'], hasFedOthers: true, isByValue: false };
    return {
      now: () => Date.parse(AT) + 1,
      events: ({ after, lastSeq, limit }) =>
        failing(() =>
          this.events
            .filter((seq) => seq > after && seq <= lastSeq)
            .slice(0, limit)
            .map((seq) => ({ seq, type: 'a.v1', occurredAt: 0, recordedAt: AT, data: {} })),
        ),
      tail: () => failing(() => ({ after: EVENTS - 10, lastSeq: EVENTS })),
      namedBy: ({ seq }) => (this.#isNamed(seq) ? named : undefined),
      rowsOf: (seqs) => failing(() => ({ lines: seqs.length })),
      forgetInShards: (events) =>
        failing(() => {
          for (const { seq } of events) this.told.add(seq);
        }),
      eraseEvents: ({ seqs }, to) =>
        failing(() => {
          for (const seq of seqs) this.events.splice(this.events.indexOf(seq), 1);
          this.outbox.push({ isNamed: true, isRelayed: false });
          this.#advance(to);
        }),
      countOwned: () => failing(() => (this.owned > 0 ? { lines: this.owned } : {})),
      removeOwned: () =>
        failing(() => {
          if (this.#left === 'owned' || this.owned === 0) return {};
          const removed = some(this.owned);
          this.owned -= removed;
          return { lines: removed };
        }),
      countOwnRow: () => failing(() => this.kept),
      removeOwnRow: () =>
        failing(() => {
          if (this.#left !== 'kept') this.kept = { entityRow: 0, removals: 0 };
        }),
      quarantine: (pages) => failing(() => this.#swept(this.quarantine, pages, 'quarantine')),
      predictions: (pages) => failing(() => this.#swept(this.predictions, pages, 'predictions')),
      served: ({ after, isRemoving }) =>
        failing(() => {
          const pages = { from: Number(after), isRemoving };
          const { found, next } = this.#swept(this.served, pages, 'served');
          return { found, next: next === null ? null : String(next) };
        }),
      cells: (isRemoving) =>
        failing(() => {
          if (!isRemoving || this.#left === 'cells') return { rows: this.cells, isMore: false };
          const rows = some(this.cells);
          this.cells -= rows;
          return { rows, isMore: rows === 1_000 };
        }),
      rebuild: (run) =>
        failing(() => {
          this.rebuilt = run === null ? 0 : this.rebuilt + 1;
          return { run: 'rebuild', isOver: this.rebuilt >= 3 };
        }),
      datasets: () => failing(() => this.datasets),
      typesOf: () => ['a.v1'],
      removeDataset: (id) =>
        failing(() => {
          this.datasets = this.datasets.filter((one) => one.id !== id);
        }),
      learned: async () => [{ model: 'm', version: 'v', training: 't' }],
      relay: () =>
        failing(() => {
          this.outbox = this.outbox.map((row) => ({ ...row, isRelayed: true }));
        }),
      outbox: ({ after, isRemoving }) =>
        failing(() => {
          const page = this.outbox.slice(after, after + 4);
          const of = page.filter(({ isNamed }) => isNamed);
          const waiting = of.filter(({ isRelayed }) => !isRelayed).length;
          if (isRemoving && this.#left !== 'outbox')
            for (const row of of) row.isNamed = row.isNamed && !row.isRelayed;
          return { named: of.length, waiting, last: page.length === 0 ? null : after + page.length };
        }),
      advance: (to) => failing(() => this.#advance(to)),
    };
  }
}

it('leaves nothing in any place, whatever call fails before or after it has taken effect', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const random = seededRandom(seed);
      const world = new World(() => random() < 0.15);
      const erased = await world.run('erase');
      const ofEntity = Math.floor(EVENTS / 7);
      expect(erased.events).toEqual({ 'a.v1': ofEntity });
      expect(world.told.size).toBe(ofEntity);
      expect(world.events).toHaveLength(EVENTS - ofEntity);
      expect(world.rebuilt).toBeGreaterThanOrEqual(3);
      expect(totalOf(await world.run('verify'))).toBe(0);
    }),
    { numRuns: 40 },
  );
});

it.each(['cells', 'kept', 'outbox', 'owned', 'predictions', 'quarantine', 'served'] as const)(
  'the second look finds what is left of %s',
  async (left) => {
    const world = new World(() => false, left);
    await world.run('erase');
    expect(totalOf(await world.run('verify'))).toBeGreaterThan(0);
  },
);

it('a list counts every place, and changes none', async () => {
  const world = new World(() => false);
  const listed = await world.run('list');
  expect(listed).toMatchObject({ features: 2_300, rows: { lines: 2_500 }, datasets: ['d1'], outbox: 6 });
  expect(world.events).toHaveLength(EVENTS);
  expect(await world.run('list')).toEqual(listed);
});
