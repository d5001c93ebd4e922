import { z } from '@hono/zod-openapi';
import type { Catalog } from '../../define/catalog.ts';
import { EXAMPLES } from './examples.ts';
import type { Operation } from './operations.ts';
import { WRITTEN_EXAMPLES } from './written-examples.ts';

/** Stands for the name of a model in the examples of Millrace's own operations. */
const MODEL = '"{model}"';

/**
 * Adds an example to each successful JSON answer: an answer that a running worker gave. Those of Millrace's own operations
 * are here; `test/e2e/contract/examples.long.test.ts` records them, and compares them with what the worker answers now.
 * Where they name a model, it is the first of the catalog by name. Those that name other declarations come with the catalog. An
 * example that the schema of the answer refuses is left out: the schema has changed since it was recorded.
 */
export function addExamples(
  operations: readonly Operation[],
  { examples, models }: Pick<Catalog, 'examples' | 'models'>,
): void {
  const [model] = models.map(({ name }) => name).sort();
  for (const { route } of operations) {
    const id = route.operationId ?? '';
    const own = { ...WRITTEN_EXAMPLES[id], ...EXAMPLES[id], ...examples[id] };
    for (const [status, response] of Object.entries(route.responses)) {
      const value = named(own[status], model);
      if (value === undefined || '$ref' in response) continue;
      const media = response.content?.['application/json'];
      if (media === undefined || '$ref' in media) continue;
      const { schema } = media;
      if (schema instanceof z.ZodType && schema.safeParse(value).success) media.example = value;
    }
  }
}

/** The example with the name of a model of the catalog; undefined if it needs one and the catalog has none. */
function named(example: unknown, model: string | undefined): unknown {
  const text = JSON.stringify(example);
  if (text === undefined || !text.includes(MODEL)) return example;
  return model === undefined ? undefined : JSON.parse(text.replaceAll(MODEL, JSON.stringify(model)));
}
