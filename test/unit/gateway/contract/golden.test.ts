import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openApiOf } from '../../../../scripts/project/openapi.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

/**
 * A copy of the fixture's document, so that a change of the API shows in a diff. `npm run golden` rewrites it: commit it
 * with the change that it shows.
 */
const GOLDEN = join(import.meta.dirname, '../../../golden/openapi.json');

it('the document is the one in test/golden/', async () => {
  const document = await openApiOf(FIXTURE.catalog);
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot(GOLDEN);
});
