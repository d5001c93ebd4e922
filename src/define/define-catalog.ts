import { type AnswerExamples, assemble, type Catalog, type DeclaredModule } from './catalog.ts';
import type { CorsPolicy } from './cors.ts';
import type { DeclaredLimits } from './limits.ts';
import type { Objective } from './objectives.ts';
import { CatalogError } from './problem.ts';
import type { RetentionPolicy } from './retention.ts';
import { validateCatalog } from './validate.ts';

/**
 * Assembles the catalog from the files that declare it. A definition is found by its `kind`; every other export is
 * ignored.
 *
 * @param modules by file name without its extension: `{ entities, events }` with `import * as entities from
 *   './entities.ts'`.
 * @throws CatalogError for mistakes that `validateCatalog` finds.
 */
export function defineCatalog(
  modules: Readonly<Record<string, DeclaredModule>>,
  {
    retention,
    limits,
    cors,
    examples,
    objectives,
  }: {
    readonly retention?: RetentionPolicy;
    readonly limits?: DeclaredLimits;
    readonly cors?: CorsPolicy;
    readonly examples?: AnswerExamples;
    /** In place of `DEFAULT_OBJECTIVES`. */
    readonly objectives?: readonly Objective[];
  } = {},
): Catalog {
  const catalog = assemble(modules, retention, limits, cors, examples, objectives);
  const problems = validateCatalog(catalog);
  if (problems.length > 0) throw new CatalogError(problems);
  return catalog;
}
