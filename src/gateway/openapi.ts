import { z } from '@hono/zod-openapi';
import { CONSISTENCY_LEVELS } from '../define/cache-policy.ts';
import { type HeaderName, headersOf } from './contract/headers.ts';
import { problemCodes } from './contract/responses.ts';

/** The body of every failure. */
const problemSchema = {
  'application/problem+json': {
    schema: z
      .object({
        type: z.string(),
        title: z.string(),
        status: z.int().openapi({ description: 'the status of the response' }),
        detail: z.string().openapi({ description: 'for people: what happened, and what to do' }),
        code: z.string().openapi({
          description: `for programs. By status: ${problemCodes()}. Later versions may add codes.`,
        }),
        requestId: z.string(),
        pointer: z.string().optional().openapi({
          description: 'a JSON Pointer into the body, or the name of the parameter or header',
        }),
      })
      .openapi('Problem', { description: 'RFC 9457.' }),
  },
};

/** Documents a status that ends with a problem, if the answer that all operations share does not say enough. */
export function problem(description: string) {
  return { description, content: problemSchema };
}

/** Documents a status that ends with JSON. */
export function json<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  headers: readonly HeaderName[] = [],
) {
  return { description, headers: headersOf(headers), content: { 'application/json': { schema } } };
}

/** The security of routes that require a key. `completeOperations` adds the scope. */
export const keySecurity = [{ key: [] }];

/** The form of `Millrace-Token`. */
export const TokenText = z
  .string()
  .max(80)
  .regex(/^[0-9a-f-]{1,64}\.\d{1,15}$/)
  .openapi({ format: 'token' });

/** The request headers of reads that may ask for a consistency. */
export const consistencyHeaders = z.object({
  'millrace-consistency': z.enum(CONSISTENCY_LEVELS).optional().openapi({
    description: 'The level of the read; without it, the one that the view declares. See docs/coherence.md.',
  }),
  'millrace-token': TokenText.optional().openapi({
    description: 'The answer is at least as fresh as the one that carried this token.',
  }),
});

/** The request headers of every cached read. */
export const cachedReadHeaders = consistencyHeaders.extend({
  'if-none-match': z.string().optional().openapi({
    description: '`ETag` of an earlier answer: if it is still current, the answer is 304 without a body.',
  }),
});
