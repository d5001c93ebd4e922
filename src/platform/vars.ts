import type * as z from 'zod';

/** Reads variables and secrets. Throws with the names of what is missing or wrong, never with their values. */
export function parseVars<Schema extends z.ZodType>(schema: Schema, env: unknown): z.output<Schema> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`The configuration is not complete: ${faults.join('; ')}`);
}
