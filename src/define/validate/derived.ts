import type { Catalog } from '../catalog.ts';
import { readNames } from '../feature.ts';
import type { Report } from '../problem.ts';

/** Checks that derived features are computed from declared features of their own entity. */
export function checkDerived({ derived, features, entities }: Catalog, report: Report): void {
  for (const definition of derived) {
    const named = `feature "${definition.name}"`;
    if (!entities.includes(definition.entity))
      report(definition, named, `Its entity "${definition.entity.name}" is not exported.`, 'Export it.');
    for (const { feature, readName, entity } of Object.values(definition.inputs)) {
      if (entity.name !== definition.entity.name)
        report(
          definition,
          named,
          `Its input "${readName}" is a feature of "${entity.name}", and not of "${definition.entity.name}".`,
          `Use features of "${definition.entity.name}".`,
        );
      else if (!features.includes(feature) || !readNames(feature).includes(readName))
        report(
          definition,
          named,
          `Its input "${readName}" is not in the catalog.`,
          'Export the feature, and name one of its windows.',
        );
    }
  }
}
