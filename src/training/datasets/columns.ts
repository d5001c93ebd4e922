import type { DatasetDefinition } from '../../define/dataset.ts';
import type { FeatureReference } from '../../define/feature.ts';
import type { ModelDefinition } from '../../define/model.ts';

export type ColumnRole = 'time' | 'key' | 'item' | 'label' | 'weight' | 'feature' | 'item-feature';
export type ColumnType = 'timestamp' | 'double' | 'string' | 'json';

/** A column of a dataset. */
export interface DatasetColumn {
  readonly name: string;
  readonly role: ColumnRole;
  readonly type: ColumnType;
  readonly reference?: FeatureReference | undefined;
  /** What the model's input has in place of a missing value; the file has null. NaN is written as text in a manifest. */
  readonly default?: number | undefined;
}

/** Aggregates whose value is a list or may be a text: a column has it as JSON. */
const AS_JSON = new Set(['items', 'most_frequent', 'first_value', 'last_value']);

/** The columns of a model's dataset, in their order. */
export function columnsOf(definition: ModelDefinition, recipe: DatasetDefinition): DatasetColumn[] {
  const items: DatasetColumn[] =
    definition.task === 'ranking' ? [{ name: definition.itemEntity.name, role: 'item', type: 'string' }] : [];
  return [
    { name: 'at', role: 'time', type: 'timestamp' },
    { name: definition.entity.name, role: 'key', type: 'string' },
    ...items,
    { name: 'label', role: 'label', type: labelTypeOf(definition) },
    { name: 'weight', role: 'weight', type: 'double' },
    ...featureColumns(definition),
    ...Object.entries(recipe.itemFeatures).map(
      ([name, reference]): DatasetColumn => ({
        ...{ name, role: 'item-feature', type: typeOf(reference), reference },
      }),
    ),
  ];
}

/** The model's columns that come from a feature. An input's constant is in no dataset. */
function featureColumns(definition: ModelDefinition): DatasetColumn[] {
  if (definition.task === 'ranking')
    return Object.entries(definition.features).map(([name, reference]) => ({
      ...{ name, role: 'feature', type: typeOf(reference), reference },
    }));
  return Object.values(definition.inputs).flatMap(({ columns }) =>
    Object.entries(columns).flatMap(([name, column]): DatasetColumn[] =>
      column.from === 'feature'
        ? [
            {
              // An input takes numbers alone.
              ...{ name, role: 'feature', type: 'double', reference: column.reference },
              default: column.default,
            },
          ]
        : [],
    ),
  );
}

function labelTypeOf(definition: ModelDefinition): ColumnType {
  if (definition.task !== 'classification') return 'double';
  return definition.classes.every((label) => typeof label === 'number') ? 'double' : 'string';
}

function typeOf({ feature: { aggregate, column } }: FeatureReference): ColumnType {
  const isJson = AS_JSON.has(aggregate) || column?.kind === 'text' || column?.kind === 'boolean';
  return isJson ? 'json' : 'double';
}
