import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { EntityDefinition } from '../define/entity.ts';
import type { ModelDefinition } from '../define/model.ts';
import { INCLUDED, type Included, includeText } from '../inference/explain/include.ts';
import { reasonRows } from '../inference/explain/reasons.ts';
import type { AppEnv, Gateway } from './context.ts';
import { unitsOf } from './limits/weights.ts';

const DESCRIPTION = 'Parts that the answer has beside the prediction; see docs/models.md.';

/** The parts that a model's answers may have. */
export function partsOf({ task }: ModelDefinition): readonly Included[] {
  return task === 'ranking' ? ['features'] : INCLUDED;
}

/** `include` in a body. */
export function includeMember(parts: readonly Included[]) {
  return z.array(z.enum(parts)).min(1).max(parts.length).optional().describe(DESCRIPTION);
}

/**
 * `include` in the query of a model's path: one text for each set of parts, so that equal requests share their answer in
 * the cache. A public path of a closed entity has none: shared caches keep its answers for everybody.
 */
export function includeParameter(model: ModelDefinition): { readonly include?: z.ZodType } {
  if (model.isPublic && !model.entity.isPublic) return {};
  const parts = partsOf(model);
  const sets = parts.length === 1 ? [parts] : [...parts.map((part) => [part]), parts];
  const texts = sets.flatMap((set) => includeText(set) ?? []);
  return { include: z.enum(texts).optional().describe(`${DESCRIPTION} Separated by a comma.`) };
}

/** What the reasons of a ranking's items cost, in units. */
export function reasonUnits(model: ModelDefinition, items: unknown): number {
  if (model.task !== 'ranking' || typeof items !== 'number') return 0;
  return unitsOf('predictionOfItem', reasonRows(model, items));
}

/**
 * Features and contributions show the values of an entity, so their reader needs the scope that reads them.
 *
 * @throws Failure `unauthorized`, `insufficient_scope`
 */
export async function assertMayInclude(
  { admit }: Gateway,
  c: Context<AppEnv>,
  { isPublic, rows }: EntityDefinition,
  include: readonly Included[],
): Promise<void> {
  if (include.length === 0 || isPublic) return;
  await admit(c, { isPublic: false, scope: 'data:read', limitsRows: rows !== undefined });
}
