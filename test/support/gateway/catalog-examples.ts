import { writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { examplesModule, recordAnswers } from '../../../scripts/project/examples.ts';
import type { Catalog } from '../../../src/define/catalog.ts';
import type { Stack } from '../node/stack.ts';
import { differences } from './agree.ts';

const DEFINE = join(import.meta.dirname, '../../../src/define/catalog.ts');

/** Operations whose answers depend on what happened a moment ago: the schema alone says what form they have. */
const OF_THE_MOMENT: ReadonlySet<string> = new Set([
  ...['getCacheStats', 'getQuality', 'inspectCache', 'getPipelineCounts'],
  ...['getLineage', 'getEventLineage', 'listLineageEvents'],
]);

/** Whether `npm run examples` records examples in place of comparing them. */
export const IS_RECORDING = process.env['TEST_RECORD_EXAMPLES'] === '1';

/**
 * Where the examples of a catalog differ from what the worker answers now; when recording, writes them to its folder.
 *
 * @param folder the catalog's.
 * @returns the operations that have an answer, and the differences in a line each.
 */
export async function examplesOf(
  { caller }: Pick<Stack, 'caller'>,
  catalog: Catalog,
  folder: string,
): Promise<{ readonly answered: readonly string[]; readonly wrong: readonly string[] }> {
  const { answers, skipped } = await recordAnswers(caller.client, catalog, Date.now());
  const answered = Object.keys(answers).sort();
  if (IS_RECORDING)
    writeFileSync(
      join(folder, 'examples.ts'),
      examplesModule(answers, relative(dirname(join(folder, 'x')), DEFINE)),
    );
  const examples = IS_RECORDING ? answers : catalog.examples;
  const wrong = [...new Set([...answered, ...Object.keys(examples)])].flatMap((operationId) => {
    const [[status, example] = []] = Object.entries(examples[operationId] ?? {});
    if (status === undefined) return [`${operationId} has no example`];
    const answer = Object.values(answers[operationId] ?? {})[0];
    if (answer === undefined) return [`${operationId} has no answer: ${skipped.join(' ')}`];
    if (OF_THE_MOMENT.has(operationId)) return [];
    return differences(example, answer).map((difference) => `${operationId} ${status}: ${difference}`);
  });
  return { answered, wrong };
}
