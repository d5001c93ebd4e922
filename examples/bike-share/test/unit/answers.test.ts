import { expect, it } from 'vitest';
import { openApiOf } from '../../../../scripts/project/openapi.ts';
import { successes } from '../../../../test/support/gateway/successes.ts';
import { BIKE_SHARE } from '../served.ts';

// The document leaves out an example that its schema refuses. `npm run examples` records them.
it('has an example of every successful answer of JSON in the document of the bike-share', async () => {
  const answers = successes(await openApiOf(BIKE_SHARE.catalog));
  expect(answers.length).toBeGreaterThan(70);
  expect(answers.filter(({ example }) => example === undefined)).toEqual([]);
});
