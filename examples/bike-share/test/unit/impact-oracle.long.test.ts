import { expect, it } from 'vitest';
import { graphOf, readsNotFound } from '../../../../test/support/impact.ts';
import { changedAnswers } from '../../../../test/support/impact-oracle.ts';
import { BIKE_SHARE } from '../served.ts';

it('has an edge for each answer that changes in Postgres when a column does', async () => {
  const changed = await changedAnswers(BIKE_SHARE);
  expect(changed.flatMap(({ views }) => views).length).toBeGreaterThan(20);
  expect(readsNotFound(await graphOf(BIKE_SHARE.catalog), changed)).toEqual([]);
});
