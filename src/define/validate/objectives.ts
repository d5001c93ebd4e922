import type { Catalog } from '../catalog.ts';
import type { Report } from '../problem.ts';

const NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Checks the names and the targets of objectives. */
export function checkObjectives({ objectives }: Catalog, report: Report): void {
  const names = new Set<string>();
  for (const objective of objectives) {
    const named = `objective "${objective.name}"`;
    if (!NAME.test(objective.name))
      report(
        objective,
        named,
        'Its name is no label of a metric.',
        'Begin with a letter; use lower case letters, digits and underscores, 63 at most.',
      );
    if (names.has(objective.name))
      report(objective, named, 'Another objective has its name.', 'Rename one of them.');
    names.add(objective.name);
    if (!(objective.target > 0 && objective.target < 1))
      report(
        objective,
        named,
        `Its target is ${objective.target}.`,
        'Give it a share above 0 and below 1, such as 0.999. A target of 1 leaves no budget to burn.',
      );
  }
}
