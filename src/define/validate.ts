import type { Catalog } from './catalog.ts';
import type { CatalogProblem, Report } from './problem.ts';
import { checkCors } from './validate/cors.ts';
import { checkDatasets } from './validate/datasets.ts';
import { checkDeclarations } from './validate/declarations.ts';
import { checkDerived } from './validate/derived.ts';
import { checkExamples } from './validate/examples.ts';
import { checkFeedback } from './validate/feedback.ts';
import { checkLimits } from './validate/limits.ts';
import { checkModels } from './validate/models.ts';
import { checkNames } from './validate/names.ts';
import { checkObjectives } from './validate/objectives.ts';
import { checkRoutes } from './validate/routes.ts';
import { checkTables } from './validate/tables.ts';
import { checkValues } from './validate/values.ts';
import { checkViews } from './validate/views.ts';

/**
 * Finds mistakes that the builders' types cannot: those that builders find themselves, clashing names and routes, values out of range, tables that do not
 * fit, examples that break their own contract. It runs when the catalog is loaded, and so in `npm run check` and before
 * a deploy. It reads no database: `scripts/migrate.ts` compares the tables with the database that it is about to
 * change.
 */
export function validateCatalog(catalog: Catalog): CatalogProblem[] {
  const problems: CatalogProblem[] = [];
  const report: Report = (definition, named, problem, remedy) => {
    const origin = catalog.origins.get(definition);
    const declaration = origin === undefined ? `the ${named}` : `the ${named} (${origin})`;
    problems.push({ declaration, problem, remedy });
  };
  const checks = [
    checkDeclarations,
    checkNames,
    checkRoutes,
    checkTables,
    checkValues,
    checkDerived,
    checkViews,
    checkModels,
    checkDatasets,
    checkFeedback,
    checkExamples,
    checkLimits,
    checkObjectives,
    checkCors,
  ];
  for (const check of checks) check(catalog, report);
  return problems;
}
