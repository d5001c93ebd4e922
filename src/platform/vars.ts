import type * as z from 'zod';

/** Parses variables and secrets. Throws an error that names what is missing or invalid, without the values. */
export function parseVars<Schema extends z.ZodType>(schema: Schema, env: unknown): z.output<Schema> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(
    `The configuration is invalid: ${faults.join('; ')}. Set these variables or secrets (wrangler.toml, "wrangler secret put").`,
  );
}
