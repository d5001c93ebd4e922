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
  );
  expect(states).toEqual([
    { ...versionOf(first), state: 'filling', since },
    { ...versionOf(second), state: 'waiting', since: null },
    { ...versionOf(third), state: 'waiting', since: null },
    { ...versionOf(first), digest: gone.digest, state: 'retired', since },
  ]);
});

it('lists a version that a newer release dropped as retired, also before a backfill retires it', () => {
  expect(versionStates([], [known(first, {})])).toEqual([{ ...versionOf(first), state: 'retired', since }]);
});

it('shows at most 1,000 retired versions', () => {
  const many = Array.from({ length: 1_001 }, (_, n) => known(first, { digest: String(n), isRetired: true }));
  const states = versionStates([], many);
  expect(states).toHaveLength(1_000);
  expect(states.at(-1)?.digest).toBe('1000');
});

it('has progress only while a backfill is under way', () => {
  const replay = { id: 'backfill', run: 'r', cursor: 1, lastSeq: 9, total: 9, replayed: 4, outcome: null };
  expect(backfillProgress(undefined)).toBeUndefined();
  expect(backfillProgress({ ...replay, state: 'done' })).toBeUndefined();
  expect(backfillProgress({ ...replay, state: 'open' })).toEqual({ events: 4, total: 9 });
});
