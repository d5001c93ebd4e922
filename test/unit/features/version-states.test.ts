import { expect, it } from 'vitest';
import type { FeatureDefinition } from '../../../src/define/feature.ts';
import { versionOf } from '../../../src/features/cell-rule.ts';
import { backfillProgress, versionStates } from '../../../src/features/version-states.ts';
import type { KnownVersion } from '../../../src/storage/postgres/feature-versions.ts';
import { catalog } from '../../support/catalog/index.ts';

const [first, second, third] = catalog.features as [FeatureDefinition, FeatureDefinition, FeatureDefinition];
const since = '2026-03-01T00:00:00.000Z';
function known(definition: FeatureDefinition, fields: Partial<KnownVersion>): KnownVersion {
  return { ...versionOf(definition), state: 'ready', run: null, since, isRetired: false, ...fields };
}

it('lists the catalog first; a version that the database does not have, or has as retired, waits', () => {
  const gone = known(first, { digest: 'f'.repeat(64), isRetired: true });
  const states = versionStates(
    [first, second, third],
    [gone, known(first, { state: 'filling' }), known(second, { isRetired: true })],
    [],
  );
  const named = ({ digest }: { digest: string }) => ({ suffix: `@${digest.slice(0, 12)}` });
  const unread = { readable: false, readableUntil: null };
  expect(states).toEqual([
    { ...versionOf(first), state: 'filling', since, ...named(versionOf(first)), ...unread },
    { ...versionOf(second), state: 'waiting', since: null, ...named(versionOf(second)), ...unread },
    { ...versionOf(third), state: 'waiting', since: null, ...named(versionOf(third)), ...unread },
    { ...versionOf(first), digest: gone.digest, state: 'retired', since, ...named(gone), ...unread },
  ]);
});

it('lists a version that a newer release dropped as retired, also before a backfill retires it', () => {
  expect(versionStates([], [known(first, {})], [])).toMatchObject([
    { ...versionOf(first), state: 'retired', since },
  ]);
});

it('shows at most 1,000 retired versions', () => {
  const many = Array.from({ length: 1_001 }, (_, n) => known(first, { digest: String(n), isRetired: true }));
  const states = versionStates([], many, []);
  expect(states).toHaveLength(1_000);
  expect(states.at(-1)?.digest).toBe('1000');
});

it('has progress only while a backfill is under way', () => {
  const replay = { id: 'backfill', run: 'r', cursor: 1, lastSeq: 9, total: 9, replayed: 4, outcome: null };
  expect(backfillProgress(undefined)).toBeUndefined();
  expect(backfillProgress({ ...replay, state: 'done' })).toBeUndefined();
  expect(backfillProgress({ ...replay, state: 'open' })).toEqual({ events: 4, total: 9 });
});

it('tells until when a replaced version is read: as long as all shards of its entity keep it', () => {
  const { entity, feature, digest } = versionOf(first);
  const shard = (...replaced: number[]) => ({
    entity,
    versions: replaced.map((replacedAt) => ({ feature, digest, replacedAt })),
  });
  const stated = (shards: Parameters<typeof versionStates>[2]) => {
    const [state] = versionStates([], [known(first, {})], shards);
    return [state?.readable, state?.readableUntil];
  };
  expect(stated([shard(2_000), shard(1_000)])).toEqual([true, '1970-01-08T00:00:01.000Z']);
  expect(stated([shard(2_000), shard()])).toEqual([false, null]);
  expect(stated(undefined)).toEqual([null, null]);
  expect(versionStates([first], [known(first, {})], undefined)[0]).toMatchObject({ readable: true });
});
