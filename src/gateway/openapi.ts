import { z } from '@hono/zod-openapi';

/** The body of every failure. */
const problemSchema = {
  'application/problem+json': {
    schema: z
      .object({
        type: z.string(),
        title: z.string(),
        status: z.int(),
        detail: z.string(),
        code: z.string(),
        requestId: z.string(),
        pointer: z.string().optional(),
      })
      .openapi('Problem'),
  },
};

/** Documents a status that ends with a problem. */
export function problem(description: string) {
  return { description, content: problemSchema };
}

/** The security of routes that require the key. */
export const keySecurity = [{ key: [] }];

/** The `security` of a route: the key, none, or an optional key if the answer depends on the principal. */
export function securityOf({
  isPublic,
  takesPrincipal = false,
}: {
  isPublic: boolean;
  takesPrincipal?: boolean;
}) {
  if (!isPublic) return { security: keySecurity };
  return takesPrincipal ? { security: [{}, ...keySecurity] } : {};
}

/** The 401 of a route that requires the key. */
export function unauthorizedOf({ isPublic }: { isPublic: boolean }) {
  return isPublic ? {} : { 401: problem('A key is needed.') };
}

/** The request headers of every cached read. */
export const consistencyHeaders = z.object({
  'millrace-consistency': z
    .string()
    .optional()
    .openapi({ description: '`strong` or `bounded`; see docs/coherence.md.' }),
  'millrace-token': z
    .string()
    .optional()
    .openapi({ description: 'The answer is at least as fresh as the one that carried this token.' }),
});
