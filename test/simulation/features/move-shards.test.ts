import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readyTags } from '../../../src/features/groups.ts';
import { KnownMoves } from '../../../src/features/layout.ts';
import { readRow } from '../../../src/features/read.ts';
import { featureOfSlot } from '../../../src/features/slots.ts';
import { runsOf } from '../../support/node/part.ts';
import { BackfilledShards } from './backfilled.ts';
import { lines, skus, spent } from './purchases.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];
const RELEASES: readonly (readonly FeatureDefinition[])[] = [
  [lines, spent],
  [lines, spent, skus],
];

function line(seq: number, key: string): FoldableEvent {
  const data = {
    invoice: 'A',
    sku: `S${seq % 4}`,
    quantity: 2,
    unitPrice: 1.5 + seq,
    customerId: key,
    country: 'UK',
  };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - seq * 1_000, data };
}

/** The row that a fold of these events from scratch has. */
function owed(release: readonly FeatureDefinition[], events: readonly FoldableEvent[], key: string) {
  const cells = mergeCells(events.flatMap((event) => cellsOf(release, event)));
  const names = new Set(release.map(({ name }) => name));
  return readRow(
    release,
    cells.filter((cell) => cell.key === key && names.has(featureOfSlot(cell.feature))),
    NOW,
  );
}

const numberOf = (row: Readonly<Record<string, { readonly value: unknown }>>) => Number(row['lines']?.value);

describe('more shards', () => {
  it('have all that the old ones had, bit for bit, and the old ones keep nothing but where it is', async () => {
    using shards = new BackfilledShards(NOW, RELEASES[1] ?? []);
    await shards.finish();
    for (let seq = 1; seq <= 30; seq += 1) shards.history.push(line(seq, KEYS[seq % KEYS.length] ?? ''));
    await shards.deliver(shards.history);
    const before = await Promise.all(KEYS.map((key) => shards.readThrough(key, new KnownMoves())));
    const cells = shards.count('cells');
    shards.invalidated.length = 0;
    for (const to of [16, 24]) {
      shards.moveTo(to);
      await shards.finishMove();
      // Nobody had seen what the new shards were filled with: no key is invalidated for it.
      const ready = readyTags('customer', ['lines', 'spent', 'skus']);
      expect(shards.invalidated.splice(0)).toEqual(ready);
      shards.tidy();
      expect(shards.count('cells')).toBe(cells);
      const after = await Promise.all(KEYS.map((key) => shards.readThrough(key, new KnownMoves())));
      expect(after).toEqual(before);
    }
    await shards.deliver([line(31, 'a')]);
    expect(numberOf(await shards.readThrough('a', new KnownMoves()))).toBe(numberOf(before[0] ?? {}) + 1);
  });

  it('are not filled from history that retention has cut; the old ones go on', async () => {
    using shards = new BackfilledShards(NOW, RELEASES[0] ?? []);
    await shards.finish();
    shards.history.push(line(1, 'a'));
    await shards.deliver(shards.history);
    shards.deleted.push({ target: 'events:shop.purchase.v1', rows: 1, until: '2026-10-01T00:00:00Z' });
    shards.moveTo(16);
    await expect(shards.stepMove()).rejects.toThrow(
      'Retention has deleted events that the feature "lines" needs',
    );
    await shards.deliver([line(2, 'a')]);
    expect(numberOf(await shards.readThrough('a', new KnownMoves()))).toBe(2);
  });

  it('lose, double and take back nothing, whatever order, failures, evictions and releases', async () => {
    await checked();
  }, 300_000);

  it.each(['copies', 'history'] as const)(
    'are checked: without the rule of %s the check fails',
    async (fault) => {
      await expect(checked(fault)).rejects.toThrow();
    },
    300_000,
  );
});

/** Readers learn of moves at different times, and each event is delivered as late as it likes. */
async function checked(fault?: 'copies' | 'history'): Promise<void> {
  const act = fc.oneof(
    { weight: 4, arbitrary: fc.record({ act: fc.constant('store'), n: fc.nat(KEYS.length - 1) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant('deliver'), n: fc.nat(50) }) },
    { weight: 6, arbitrary: fc.record({ act: fc.constant('step'), n: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('move'), n: fc.integer({ min: 9, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('fail'), n: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('deploy'), n: fc.nat(RELEASES.length - 1) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('evict'), n: fc.nat(1) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 80 }), async (acts) => {
      let release = RELEASES[0] ?? [];
      using shards = new BackfilledShards(NOW, release);
      shards.fault = fault;
      await shards.finish();
      const delivered = new Set<FoldableEvent>();
      const readers = [new KnownMoves(), new KnownMoves()];
      const seen = new Map<string, number>();
      for (const [at, { act: kind, n }] of acts.entries()) {
        try {
          if (kind === 'store') shards.history.push(line(shards.history.length + 1, KEYS[n] ?? ''));
          if (kind === 'move') shards.moveTo(n);
          if (kind === 'step') await shards.stepMove();
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
        const reader = readers[at % readers.length];
        for (const key of KEYS) {
          const row = await shards.readThrough(key, reader ?? new KnownMoves());
          expect(row['lines']?.status).not.toBe('NOT_READY');
          const number = numberOf(row);
          expect(number).toBeGreaterThanOrEqual(
            Math.max(seen.get(key) ?? 0, numberOf(owed(release, [...delivered], key))),
          );
          expect(number).toBeLessThanOrEqual(numberOf(owed(release, shards.history, key)));
          seen.set(key, number);
        }
      }
      shards.failIn = undefined;
      await shards.deliver([...shards.history].reverse());
      await shards.finishMove();
      for (const key of KEYS)
        for (const reader of [...readers, new KnownMoves()]) {
          const row = await shards.readThrough(key, reader);
          const want = owed(release, shards.history, key);
          for (const [name, value] of Object.entries(row))
            if (value.status !== 'NOT_READY') expect(value).toEqual(want[name]);
        }
    }),
    { numRuns: fault === undefined ? runsOf(8) : 200, endOnFailure: fault !== undefined },
  );
}
