import { expect, it } from 'vitest';
import { graphOf, readsNotFound } from '../../../support/impact.ts';
import { changedAnswers } from '../../../support/impact-oracle.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

it('has an edge for each answer that changes in Postgres when a column does', async () => {
  const graph = await graphOf(FIXTURE.catalog);
  const changed = await changedAnswers(FIXTURE);
  const answers = changed.flatMap(({ column, views }) => views.map((view) => `${view} ${column}`));
  // Each view has a column that it shows, and the columns that no view shows change nothing.
  expect(new Set(answers.map((answer) => answer.split(' ')[0])).size).toBe(FIXTURE.catalog.views.length);
  expect(changed.find(({ column }) => column === 'products.updated_at')?.views).toEqual([]);
  expect(readsNotFound(graph, changed)).toEqual([]);
  // An edge that the graph lacks is missed.
  const [removed] = graph.edges.filter(
    ({ to, from }) => to === 'view:product' && from === 'column:products.unit_price',
  );
  expect(removed?.relation).toBe('reads');
  expect(readsNotFound(graph, changed, removed)).toEqual(['view:product reads column:products.unit_price']);
});
