import { describe, expect, it } from 'vitest';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import { versionOf } from '../../../src/features/cell-rule.ts';
import type { FoldableEvent } from '../../../src/features/fold.ts';
import { OLD_VERSION_MS } from '../../../src/features/old-versions.ts';
import { customer } from '../../support/catalog/entities.ts';
import { purchase } from '../../support/catalog/events.ts';
import { BackfilledShards } from './backfilled.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const of = {
  entity: customer,
  event: purchase,
  key: (line: { customerId: string | null }) => line.customerId,
};
const windows = ['7d', 'lifetime'] as const;
const lines = feature.count({ ...of, name: 'lines', windows });
const pieces = feature.sum({ ...of, name: 'spent', windows, value: (line) => line.quantity, ttl: '30d' });
const paid = feature.sum({ ...of, name: 'spent', windows, value: (line) => line.unitPrice });
const twice = feature.sum({ ...of, name: 'spent', windows, value: (line) => 2 * line.unitPrice });

const named = (definition: FeatureDefinition, name = 'spent_7d') =>
  `${name}@${versionOf(definition).digest.slice(0, 12)}`;

function line(seq: number, daysAgo: number): FoldableEvent {
  const data = { invoice: 'A', sku: 'S', quantity: 2, unitPrice: 10, customerId: 'a', country: 'UK' };
  return { seq, type: 'shop.purchase.v1', occurredAt: NOW - daysAgo * DAY_MS, data };
}

/** Shards that have served the first release, and have three purchases, two of them in the last 7 days. */
async function served(): Promise<BackfilledShards> {
  const shards = new BackfilledShards(NOW, [lines, pieces]);
  await shards.finish();
  shards.history.push(line(1, 20), line(2, 6), line(3, 1));
  await shards.deliver(shards.history);
  return shards;
}

async function store(shards: BackfilledShards, event: FoldableEvent): Promise<void> {
  shards.history.push(event);
  await shards.deliver([event]);
}

describe('versions of a feature side by side', () => {
  it('reads the old version as of its end, and the new one once it is whole', async () => {
    using shards = await served();
    const names = [named(pieces), named(pieces, 'spent'), named(paid)];
    expect(shards.readVersions('a', names.slice(0, 2))).toMatchObject({
      row: { [named(pieces)]: { value: 4, status: 'PRESENT' }, [named(pieces, 'spent')]: { value: 6 } },
    });
    expect(shards.readVersions('a', names).unknown).toEqual([named(paid)]);
    shards.deploy([lines, paid]);
    await store(shards, line(4, 0));
    const old = { value: 4, status: 'PRESENT', eventAt: NOW - DAY_MS, frozenAt: NOW };
    expect(shards.readVersions('a', names)).toMatchObject({
      row: { [named(pieces)]: old, [named(paid)]: { value: null, status: 'NOT_READY' } },
      unknown: [],
    });
    await shards.finish();
    shards.now += 3 * DAY_MS;
    shards.tidy();
    const { row, until } = shards.readVersions('a', names);
    // The window of the old version still ends when it was replaced; that of the new one does not.
    expect(row[named(pieces)]).toEqual(old);
    expect(row[named(pieces, 'spent')]).toMatchObject({ value: 6, frozenAt: NOW });
    expect(row[named(paid)]).toEqual({ value: 20, status: 'PRESENT', eventAt: NOW });
    expect(until).toBe(Math.ceil(shards.now / DAY_MS) * DAY_MS);
  });

  it('keeps an old version for a week, then deletes its cells; its time to live counts from the present', async () => {
    using shards = await served();
    shards.deploy([lines, paid]);
    await shards.finish();
    shards.now = NOW + OLD_VERSION_MS - 1;
    shards.tidy();
    expect(shards.readVersions('a', [named(pieces)])).toMatchObject({
      row: { [named(pieces)]: { value: 4 } },
      until: NOW + OLD_VERSION_MS,
    });
    const slots = () => shards.count('features');
    const before = slots();
    shards.now = NOW + OLD_VERSION_MS;
    expect(shards.readVersions('a', [named(pieces)]).unknown).toEqual([named(pieces)]);
    shards.tidy();
    // Two slots in each of the eight shards.
    expect(before - slots()).toBe(16);
    expect(shards.read('a')).toMatchObject({ spent: 30 });
  });

  it('serves an old value no longer than its time to live', async () => {
    const short = feature.sum({ ...of, name: 'spent', windows, value: (one) => one.quantity, ttl: '3d' });
    using shards = new BackfilledShards(NOW, [lines, short]);
    await shards.finish();
    await store(shards, line(1, 1));
    shards.deploy([lines, paid]);
    expect(shards.readVersions('a', [named(short)])).toMatchObject({ until: NOW + 2 * DAY_MS + 1 });
    shards.now = NOW + 2 * DAY_MS + 1;
    expect(shards.readVersions('a', [named(short)]).row[named(short)]).toMatchObject({
      ...{ value: null, status: 'OUTSIDE_MAX_AGE' },
    });
  });

  it('keeps one old version of a feature, and none that was never whole', async () => {
    using shards = await served();
    shards.deploy([lines, paid]);
    expect(shards.readVersions('a', [named(paid)]).row[named(paid)]?.status).toBe('NOT_READY');
    // The second release is replaced while it is filled: the first is the newest that was whole.
    shards.deploy([lines, twice]);
    expect(shards.readVersions('a', [named(pieces), named(paid)])).toMatchObject({
      row: { [named(pieces)]: { value: 4, frozenAt: NOW } },
      unknown: [named(paid)],
    });
    await shards.finish();
    shards.deploy([lines]);
    expect(shards.readVersions('a', [named(pieces), named(twice)])).toMatchObject({
      row: { [named(twice)]: { value: 40, frozenAt: NOW } },
      unknown: [named(pieces)],
    });
  });

  it('ends old versions with a rebuild, which cannot make their cells', async () => {
    using shards = await served();
    shards.deploy([lines, paid]);
    await shards.finish();
    expect(shards.readVersions('a', [named(pieces)]).unknown).toEqual([]);
    shards.beginRebuild('a');
    expect(shards.readVersions('a', [named(pieces)]).unknown).toEqual([named(pieces)]);
  });
});
