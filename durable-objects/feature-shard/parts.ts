import type { FeatureDefinition } from '../../src/define/feature.ts';
import type { Cell, FoldableEvent } from '../../src/features/fold.ts';
import { groupOf, groupsOf, partOf } from '../../src/features/groups.ts';
import type { OpenFolds } from '../../src/features/open-folds.ts';
import { slotsOf } from '../../src/features/slots.ts';

/** The groups of a shard's features: by them a fold names what has to be invalidated. */
export class FeatureGroups {
  /** The names of all features. */
  readonly features: readonly string[];
  readonly all: readonly string[];
  readonly #ofSlot: ReadonlyMap<string, string>;

  constructor(definitions: readonly FeatureDefinition[]) {
    this.features = definitions.map(({ name }) => name);
    this.all = groupsOf(definitions);
    this.#ofSlot = new Map(
      definitions.flatMap((definition) =>
        slotsOf(definition).map(({ name }) => [name, groupOf(definition)] as const),
      ),
    );
  }

  /** The parts of keys that cells are in. */
  partsOf(cells: readonly Cell[]): Set<string> {
    return new Set(cells.map(({ feature, key }) => partOf(this.#ofSlot.get(feature) ?? '', key)));
  }

  /**
   * What has to be invalidated of the parts that events change: those of open folds, all parts of events whose number is
   * below `trackedFrom`, and the keys of which all may have changed.
   */
  dueOf(
    events: readonly FoldableEvent[],
    cellsOf: (event: FoldableEvent) => readonly Cell[],
    folds: OpenFolds,
    trackedFrom: number,
  ): string[] {
    const due = events.flatMap((event) => {
      const cells = cellsOf(event);
      const parts = [...this.partsOf(cells)].filter((part) => event.seq < trackedFrom || folds.has(part));
      return [...parts, ...cells.map(({ key }) => key).filter((key) => folds.has(key))];
    });
    return [...new Set(due)];
  }
}
