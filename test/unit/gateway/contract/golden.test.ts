import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { openApiOf } from '../../../../scripts/project/openapi.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

/**
 * A copy of the fixture's document, so that a change of the API shows in a diff. `npm run golden` rewrites it: commit it
 * with the change that it shows.
 */
const GOLDEN = join(import.meta.dirname, '../../../golden/openapi.json');

const Components = z.record(z.string(), z.record(z.string(), z.unknown()));

it('the document is the one in test/golden/', async () => {
  const document = await openApiOf(FIXTURE.catalog);
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot(GOLDEN);
});

/** Linters of OpenAPI, which only CI runs, warn of the same. */
it('every component is used', async () => {
  const document = await openApiOf(FIXTURE.catalog);
  const text = JSON.stringify(document);
  const { securitySchemes: _, ...components } = z
    .object({ components: Components })
    .parse(document).components;
  const names = Object.entries(components).flatMap(([kind, named]) =>
    Object.keys(named).map((name) => `#/components/${kind}/${name}`),
  );
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !text.includes(`"$ref":"${name}"`))).toEqual([]);
});
