import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import { versionOf } from '../../../src/features/cell-rule.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readFeature } from '../../../src/features/read.ts';
import { featureOfSlot } from '../../../src/features/slots.ts';
import { BackfilledShards } from './backfilled.ts';
import { lines, ofPurchases, skus, spent } from './purchases.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const KEYS = ['a', 'b', 'c'];
const quantity = feature.sum({
  ...ofPurchases,
  name: 'spent',
  windows: ['lifetime'],
  value: (line) => line.quantity,
});
/** The second changes a function of a feature and adds one. */
const RELEASES: readonly (readonly FeatureDefinition[])[] = [
  [lines, quantity],
  [lines, spent, skus],
  [lines, spent],
];

function line(seq: number, key: string, daysAgo = 0): FoldableEvent {
  const data = {
    invoice: 'A',
    sku: `S${seq % 4}`,
    quantity: 2,
    unitPrice: 1.5 + seq,
    customerId: key,
    country: 'UK',
  };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - daysAgo * DAY_MS - seq, data };
}

/** The values that a fold of these events from scratch has. */
function owed(release: readonly FeatureDefinition[], events: readonly FoldableEvent[], key: string) {
  const cells = mergeCells(events.flatMap((event) => cellsOf(release, event))).filter(
    (cell) => cell.key === key,
  );
  const rows = release.map((definition) =>
    readFeature(
      definition,
      cells.filter((cell) => featureOfSlot(cell.feature) === definition.name),
      NOW,
    ),
  );
  return Object.fromEntries(rows.flatMap(Object.entries).map(([name, { value }]) => [name, value]));
}

describe('a backfill', () => {
  it('serves no new feature before it has the whole history, and all of it then; others stay', async () => {
    using shards = new BackfilledShards(NOW, RELEASES[0] ?? []);
    await shards.finish();
    for (let seq = 1; seq <= 10; seq += 1) shards.history.push(line(seq, 'a', seq));
    await shards.deliver(shards.history);
    expect(shards.read('a')).toEqual(owed([lines, quantity], shards.history, 'a'));
    shards.deploy(RELEASES[1] ?? []);
    const before = shards.read('a');
    expect(before).toMatchObject({ lines_7d: 6, lines: 10 });
    expect([before['spent'], before['skus'], before['skus_30m']]).toEqual([undefined, undefined, undefined]);
    await shards.deliver([line(11, 'a')]);
    shards.history.push(line(11, 'a'));
    expect(shards.read('a')).toMatchObject({ lines: 11, spent: undefined });
    shards.invalidated.length = 0;
    await shards.finish();
    expect(shards.read('a')).toEqual(owed(RELEASES[1] ?? [], shards.history, 'a'));
    expect(shards.invalidated).toContain('features-ready:customer');
    shards.tidy();
    expect([shards.count('layers'), shards.count('generations')]).toEqual([0, 8]);
  });

  it('serves the first features of an entity that has a history, and of one that has none', async () => {
    using shards = new BackfilledShards(NOW, RELEASES[1] ?? []);
    shards.history.push(...[1, 2, 3, 4, 5].map((seq) => line(seq, 'b')));
    await shards.deliver([line(5, 'b')]);
    expect(Object.values(shards.read('b'))).toEqual([undefined, undefined, undefined, undefined, undefined]);
    await shards.finish();
    expect(shards.read('b')).toEqual(owed(RELEASES[1] ?? [], shards.history, 'b'));
    using empty = new BackfilledShards(NOW, RELEASES[1] ?? []);
    await empty.finish();
    expect(empty.read('b')).toEqual(owed(RELEASES[1] ?? [], [], 'b'));
  });

  it('fills a feature of history that retention has cut only if its windows are whole', async () => {
    using shards = new BackfilledShards(NOW, [lines]);
    const short = feature.count({ ...ofPurchases, name: 'short', windows: ['7d'] });
    await shards.finish();
    shards.deploy([lines, short, spent]);
    shards.deleted.push({ target: 'events:shop.purchase.v1', rows: 1, until: '2026-10-01T00:00:00Z' });
    await shards.finish();
    expect(shards.read('a')).toEqual({ lines_7d: 0, lines: 0, short_7d: 0, spent: undefined });
    expect(shards.versions.map(({ feature: name, state }) => [name, state])).toEqual([
      ['lines', 'ready'],
      ['short', 'ready'],
      ['spent', 'pruned'],
    ]);
  });

  it('finds features that wait although the database knows them as ready, if it is forced', async () => {
    using shards = new BackfilledShards(NOW, RELEASES[1] ?? []);
    shards.history.push(line(1, 'a'));
    await shards.finish();
    const { versions, replay } = shards;
    using lost = new BackfilledShards(NOW, RELEASES[1] ?? []);
    Object.assign(lost, { versions, replay });
    lost.history.push(line(1, 'a'));
    expect(await lost.step()).toBe(false);
    expect(lost.read('a')).toMatchObject({ lines: undefined });
    expect(await lost.step(true)).toBe(true);
    await lost.finish();
    expect(lost.read('a')).toEqual(owed(RELEASES[1] ?? [], lost.history, 'a'));
  });

  it('ends as a fold from scratch, and never serves a part, whatever order and failures', async () => {
    const act = fc.oneof(
      { weight: 4, arbitrary: fc.record({ act: fc.constant('store'), n: fc.nat(KEYS.length - 1) }) },
      { weight: 4, arbitrary: fc.record({ act: fc.constant('deliver'), n: fc.nat(50) }) },
      { weight: 6, arbitrary: fc.record({ act: fc.constant('step'), n: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ act: fc.constant('fail'), n: fc.integer({ min: 1, max: 30 }) }) },
      { weight: 1, arbitrary: fc.record({ act: fc.constant('deploy'), n: fc.nat(RELEASES.length - 1) }) },
      { weight: 1, arbitrary: fc.record({ act: fc.constant('evict'), n: fc.nat(1) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 80 }), async (acts) => {
        let release = RELEASES[0] ?? [];
        using shards = new BackfilledShards(NOW, release);
        const delivered = new Set<FoldableEvent>();
        for (const { act: kind, n } of acts) {
          try {
            if (kind === 'store') shards.history.push(line(shards.history.length + 1, KEYS[n] ?? ''));
            if (kind === 'step') await shards.step(n === 0);
            if (kind === 'fail') shards.failIn = n;
            if (kind === 'evict') shards.deploy(release);
            if (kind === 'deploy') {
              release = RELEASES[n] ?? [];
              shards.deploy(release);
            }
            const event = shards.history[n % Math.max(1, shards.history.length)];
            if (kind === 'deliver' && event !== undefined) {
              await shards.deliver([event, event]);
              delivered.add(event);
            }
          } catch (error) {
            if (!(error instanceof Error) || error.message !== 'A call fails.') throw error;
          }
          for (const key of KEYS) {
            const read = shards.read(key);
            const least = owed(release, [...delivered], key);
            const most = owed(release, shards.history, key);
            for (const [name, value] of Object.entries(read)) {
              if (value === undefined) continue;
              expect(Number(value)).toBeGreaterThanOrEqual(Number(least[name]));
              expect(Number(value)).toBeLessThanOrEqual(Number(most[name]));
            }
          }
        }
        shards.failIn = undefined;
        await shards.deliver([...shards.history].reverse());
        await shards.step(true);
        await shards.finish();
        for (const key of KEYS) expect(shards.read(key)).toEqual(owed(release, shards.history, key));
      }),
      { numRuns: 15 },
    );
  }, 300_000);
});

describe('the digest of a feature', () => {
  const digest = (definition: FeatureDefinition) => versionOf(definition).digest;
  const sum = (version?: number) =>
    feature.sum({
      ...ofPurchases,
      name: 'spent',
      windows: ['lifetime'],
      value: (data) => data.unitPrice,
      ...(version === undefined ? {} : { version }),
    });

  it('changes with what decides its cells, a function included, and with a declared version', () => {
    const changed = [
      spent,
      quantity,
      feature.sum({ ...ofPurchases, name: 'spent', windows: ['7d'], value: (data) => data.unitPrice }),
      feature.mean({ ...ofPurchases, name: 'spent', windows: ['lifetime'], value: (data) => data.unitPrice }),
      sum(1),
      sum(2),
    ];
    expect(new Set(changed.map(digest)).size).toBe(changed.length);
  });

  it('stays with another time to live, version of the event, name of the function or white space', () => {
    const first = sum();
    expect(digest({ ...first, ttlMs: 5, eventType: 'shop.purchase.v2' })).toBe(digest(first));
    const other = feature.sum({
      ...ofPurchases,
      name: 'spent',
      windows: ['lifetime'],
      // A comment.
      value: (data) =>
        // Another one.
        data.unitPrice,
    });
    expect(digest(other)).toBe(digest(first));
    expect(digest(sum(1))).toBe(digest({ ...sum(1), contributions: () => [] }));
  });
});
