import { z } from '@hono/zod-openapi';
import { EXAMPLES } from './examples.ts';
import type { Operation } from './operations.ts';

/**
 * Adds an example to each successful JSON answer of Millrace's own operations: an answer that a running worker gave.
 * `test/e2e/contract/examples.long.test.ts` records them, and compares them with what the worker answers now. An answer
 * that names declarations of a catalog has no example, because other catalogs do not have them. An example that the
 * schema of the answer refuses is left out: the schema has changed since it was recorded.
 */
export function addExamples(operations: readonly Operation[]): void {
  for (const { route, catalog } of operations) {
    if (catalog !== undefined) continue;
    const own = EXAMPLES[route.operationId ?? ''] ?? {};
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
