import { expect, test } from 'vitest';
import { trialsOf } from '../../../../scripts/dev/trials.ts';
import { catalog } from '../../catalog/index.ts';

test('the examples of events fill the paths of views, also with keys of several columns', () => {
  const trials = trialsOf(catalog, Date.UTC(2026, 0, 1));
  const paths = trials.flatMap((trial) => ('get' in trial ? [trial.get] : []));
  // The ride of the example begins at dock 3 of station 101.
  expect(paths).toContain('/v1/stations/101/docks/3');
  expect(paths).toContain('/v1/riders/7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b10');
});
