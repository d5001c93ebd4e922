import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchase } from '../../support/catalog/events.ts';
import { runsOf } from '../../support/node/part.ts';
import { PackedShard } from './packed.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const KEYS = ['', 'a', 'b', 'c', 'd'];
const of = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const price = (line: { unitPrice: number }) => line.unitPrice;
const sku = (line: { sku: string }) => line.sku;
const lines = feature.count({ ...of, name: 'lines', windows: ['30m', '2d', 'lifetime'] });
const counted = feature.count({ ...of, name: 'counted', windowsDays: [1, 5] });
const spent = feature.sum({ ...of, name: 'spent', windows: ['3d', '1y', 'lifetime'], value: price });
const shorter = feature.sum({ ...of, name: 'spent', windows: ['1d', '1y', 'lifetime'], value: price });
const changed = feature.sum({
  ...of,
  name: 'spent',
  windows: ['3d', 'lifetime'],
  value: (line) => line.quantity,
});
const bought = feature.items({ ...of, name: 'bought', item: sku, limit: 5 });
const favourites = feature.mostFrequent({ ...of, name: 'favourites', windows: ['2d'], value: sku, limit: 5 });
const latest = feature.lastValue({ ...of, name: 'latest', windows: ['2d', 'lifetime'], value: sku });
/** More than one pack has room for. */
const many = Array.from({ length: 34 }, (_, at) =>
  feature.count({ ...of, name: `many_${at}`, windows: ['lifetime'] }),
);
/** Numbers from the greatest to the least: their sum and that of their squares have thousands of bits. */
const wide = ({ quantity }: { quantity: number }) =>
  quantity % 2 === 0 ? Number.MAX_VALUE / quantity : Number.MIN_VALUE * quantity;
/** Those with the longest states, as often as a pack has room for. */
const long = Array.from({ length: 8 }, (_, at) => [
  feature.variance({ ...of, name: `variance_${at}`, windows: ['lifetime'], value: wide }),
  feature.lastValue({ ...of, name: `text_${at}`, windows: ['lifetime'], value: () => '\u0000'.repeat(256) }),
  feature.distinct({ ...of, name: `skus_${at}`, windows: ['lifetime'], value: sku }),
  feature.decayed({ ...of, name: `recent_${at}`, halfLife: '1d' }),
]).flat();
/** They add, retire and change features, and make windows shorter. */
const RELEASES: readonly (readonly FeatureDefinition[])[] = [
  [lines, spent],
  [lines, counted, spent, bought, favourites, latest],
  [lines, counted, shorter, bought, favourites],
  [counted, changed, latest],
  [lines, ...many],
];

function line(seq: number, key: string, age: number): FoldableEvent {
  const data = {
    invoice: 'A',
    sku: `S${seq % 3}`,
    quantity: 1 + (seq % 5),
    unitPrice: 0.1 * seq,
    customerId: key,
    country: 'UK',
  };
  // Every third number is in the next block.
  const number = seq % 3 === 0 ? seq + 16_384 : seq;
  return { seq: number, type: 'shop.purchase.v1', occurredAt: NOW - age, data };
}

/** More than any flip takes here. */
const STEPS_OF_FLIP_MAX = 200;

type Act = { readonly act: string; readonly n: number };

const act = (weight: number, name: string, most: number) => ({
  weight,
  arbitrary: fc.record({ act: fc.constant(name), n: fc.nat(most) }),
});
const ACTS = fc.array(
  fc.oneof(
    act(8, 'fold', 1_000),
    act(3, 'again', 1_000),
    act(6, 'upkeep', 12),
    act(2, 'day', 1),
    act(2, 'deploy', RELEASES.length - 1),
    act(2, 'serve', 0),
    act(2, 'goBack', 0),
    act(2, 'tidy', 0),
    act(2, 'begin', 0),
    act(4, 'build', 1_000),
    act(6, 'flip', 12),
    act(3, 'rebuild', 1_000),
    act(1, 'evict', 0),
  ),
  { minLength: 10, maxLength: 70 },
);

class Player {
  readonly #shard: PackedShard;
  readonly #history: FoldableEvent[] = [];
  #release = RELEASES[0] ?? [];

  constructor(shard: PackedShard) {
    this.#shard = shard;
  }

  play({ act: name, n }: Act): void {
    const shard = this.#shard;
    const acts: Record<string, () => void> = {
      fold: () => shard.fold(this.#fresh(n)),
      again: () => shard.fold(this.#some(n)),
      upkeep: () => shard.upkeep(n),
      tidy: () => shard.tidy(),
      day: () => {
        shard.now += DAY_MS;
      },
      deploy: () => {
        this.#release = RELEASES[n] ?? [];
        shard.deploy(this.#release);
      },
      evict: () => shard.deploy(this.#release),
      serve: () => shard.serveAll(),
      goBack: () => shard.goBack(),
      begin: () => shard.beginRebuild(),
      build: () => shard.build(this.#some(n)),
      flip: () => {
        for (let step = 0; step < n; step += 1) shard.stepFlip(KEYS);
      },
      rebuild: () => {
        shard.beginRebuild();
        shard.build(this.#some(n));
        for (let step = 0; step < STEPS_OF_FLIP_MAX; step += 1) shard.stepFlip(KEYS);
      },
    };
    acts[name]?.();
  }

  /** One to four new events, some of them late. */
  #fresh(n: number): FoldableEvent[] {
    const behind = [0, 10, 500, 1_500, 2_900, 4_000, 7_500, 20_000][n % 8] ?? 0;
    const since = this.#shard.now - NOW;
    const fresh = Array.from({ length: 1 + (n % 4) }, (_, at) =>
      line(this.#history.length + at + 1, KEYS[(n + at) % KEYS.length] ?? '', behind * 60_000 - since + at),
    );
    this.#history.push(...fresh);
    return [...fresh, ...fresh.slice(0, 1)];
  }

  /** Some of the events so far, twice. */
  #some(n: number): FoldableEvent[] {
    const some = this.#history.filter((_, at) => (at * 7 + n) % 3 !== 0);
    return [...some, ...some.slice(0, 2)];
  }
}

function expectRight(shard: PackedShard): void {
  for (const key of KEYS) expect(shard.read(key)).toEqual(shard.owedOf(key));
  const [kept, owed] = shard.digests();
  expect(kept).toEqual(owed);
  expect(shard.unexpired()).toEqual(shard.owed());
}

it('has the cells of a plain map of them, in whatever form, and no others once it is tidy', () => {
  fc.assert(
    fc.property(ACTS, (acts) => {
      using shard = new PackedShard(NOW, RELEASES[0] ?? []);
      shard.serveAll();
      const player = new Player(shard);
      for (const one of acts) {
        player.play(one);
        expectRight(shard);
      }
      // The next sweep also deletes what a shorter window has made expire.
      shard.now += DAY_MS;
      shard.tidy();
      expectRight(shard);
      expect(shard.stored()).toEqual(shard.owed());
      const [rows, owed] = shard.rows();
      expect(rows).toEqual(owed);
    }),
    { numRuns: runsOf(60) },
  );
}, 300_000);

it('deletes what a shorter window has made expire, although a sweep has passed there', () => {
  using shard = new PackedShard(NOW, [counted, spent]);
  shard.serveAll();
  shard.fold([line(1, 'a', 3 * DAY_MS), line(2, 'a', 0)]);
  shard.tidy();
  shard.deploy([counted, shorter]);
  shard.now += DAY_MS;
  shard.tidy();
  expectRight(shard);
  expect(shard.stored()).toEqual(shard.owed());
});

it('keeps a pack short, whatever the features and their states', () => {
  using shard = new PackedShard(NOW, [...long, ...many]);
  shard.serveAll();
  const events = Array.from({ length: 70 }, (_, at) => {
    const event = line(at + 1, 'a', at * DAY_MS);
    return { ...event, data: { ...(event.data as object), quantity: at + 1, sku: `S${at}` } };
  });
  shard.fold(events);
  const longest = Math.max(...shard.packs());
  expect(longest).toBeGreaterThan(32 * 1_000);
  expect(longest).toBeLessThanOrEqual(32 * (2_048 + 64));
});
