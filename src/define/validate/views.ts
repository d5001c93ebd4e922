import type { Catalog } from '../catalog.ts';
import type { Report } from '../problem.ts';

/** Beyond a day, a date is a parameter of the view. */
const GRAIN_MS_MAX = 86_400_000;

/** What views declare as their inputs can be given to them. */
export function checkViews(catalog: Catalog, report: Report): void {
  for (const view of catalog.views) {
    const named = `view "${view.name}"`;
    const { grainMs } = view;
    if (grainMs !== undefined && !(grainMs % 1_000 === 0 && grainMs >= 1_000 && grainMs <= GRAIN_MS_MAX))
      report(
        view,
        named,
        `Its \`now\` has a granularity of ${grainMs / 1_000} s.`,
        'Declare `granularityS` as a whole number of seconds from 1 to 86,400.',
      );
    for (const { name, entity, features } of view.featureReads) {
      const other = features.find((feature) => feature.entity.name !== entity.name);
      if (other !== undefined)
        report(
          view,
          named,
          `It reads features of "${entity.name}" and of "${other.entity.name}" as "${name}".`,
          'Read those of another entity under another name, with a key of their own.',
        );
      const unknown = features.find((feature) => !catalog.features.includes(feature));
      if (unknown !== undefined)
        report(
          view,
          named,
          `It reads the feature "${unknown.name}", which the catalog does not have.`,
          'Export the feature from a module of the catalog: only then its events are folded.',
        );
    }
    const reserved = Object.keys(view.vary).find((dimension) => dimension.startsWith('@'));
    if (reserved !== undefined)
      report(view, named, `It varies on "${reserved}".`, 'Choose a name that does not begin with "@".');
  }
}
