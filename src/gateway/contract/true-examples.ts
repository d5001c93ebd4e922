import { z } from '@hono/zod-openapi';
import type { AnswerExamples } from '../../define/catalog.ts';
import { EXAMPLES } from './examples.ts';
import type { Operation } from './operations.ts';

/**
 * Adds an example to each successful JSON answer: an answer that a running worker gave. Those of Millrace's own operations
 * are here; `test/e2e/contract/examples.long.test.ts` records them, and compares them with what the worker answers now.
 * Those that name declarations of a catalog come with the catalog. An example that the schema of the answer refuses is
 * left out: the schema has changed since it was recorded.
 */
export function addExamples(operations: readonly Operation[], declared: AnswerExamples): void {
  for (const { route } of operations) {
    const own = { ...EXAMPLES[route.operationId ?? ''], ...declared[route.operationId ?? ''] };
    for (const [status, response] of Object.entries(route.responses)) {
      const value = own[status];
      if (value === undefined || '$ref' in response) continue;
      const media = response.content?.['application/json'];
      if (media === undefined || '$ref' in media) continue;
      const { schema } = media;
      if (schema instanceof z.ZodType && schema.safeParse(value).success) media.example = value;
    }
  }
}
