import { expect, it } from 'vitest';
import { loadCatalog } from '../../../scripts/project/catalog.ts';
import { openApiOf } from '../../../scripts/project/openapi.ts';
import { expectRefusal, runScriptOf } from '../../support/node/command-usage.ts';

const SCRIPT = 'scripts/openapi.ts';

it('writes the document of this deployment', async () => {
  const { code, stdout, stderr } = await runScriptOf(SCRIPT, []);
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toEqual(await openApiOf(await loadCatalog()));
});

it('refuses an option that it does not have', async () => {
  await expectRefusal(SCRIPT, ['--ouT', 'x'], '--out');
});
