import { holds } from '../define/datatype.ts';
import type { FeatureDefinition } from '../define/feature.ts';
import { type ModelDefinition, type PredictionModel, referencesOf } from '../define/model.ts';
import type { Column, ConstantValue, FeatureColumn } from '../define/model-input.ts';
import type { FeatureRow } from '../features/shards.ts';
import { Failure } from '../platform/failure.ts';
import { rowShape } from './declared.ts';
import { fromJson, type JsonElement } from './json-elements.ts';
import type { Tensor, TensorSignature, Tensors } from './tensors.ts';

export type RequestValues = Readonly<Record<string, unknown>>;

/**
 * Checks that the tensors can hold the client's values: the request's schema may allow more than the element type does.
 *
 * @param pointerPrefix the prefix of a field's name in the problem's pointer.
 * @throws Failure `invalid_request`.
 */
export function assertRequestFits(
  { inputs }: Pick<PredictionModel, 'inputs'>,
  request: RequestValues,
  pointerPrefix: string,
): void {
  for (const { datatype, columns } of Object.values(inputs)) {
    for (const column of Object.values(columns)) {
      if (column.from !== 'request' || holds(datatype, request[column.field])) continue;
      throw new Failure('invalid_request', `The model needs "${column.field}" as ${datatype}.`, {
        pointer: pointerPrefix + column.field,
      });
    }
  }
}

/**
 * The graph's inputs for one prediction.
 *
 * @param signatures of the champion.
 * @param now milliseconds since the Unix epoch.
 * @throws Error if a value does not fit its element type, or the version does not fit the declaration.
 */
export function rowOf(
  { inputs }: Pick<PredictionModel, 'inputs'>,
  signatures: readonly TensorSignature[],
  features: FeatureRow,
  request: RequestValues,
  now: number,
): Tensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { datatype, columns }]): [string, Tensor] => {
      const entries = Object.entries(columns);
      const signature = signatures.find((input) => input.name === name);
      const shape = signature && rowShape(signature.shape, entries.length);
      if (shape === undefined)
        throw new Error(`The version has no input "${name}" for ${entries.length} columns.`);
      const elements = entries.map(([, column]) => elementOf(columnValue(column, features, request, now)));
      const read = fromJson(datatype, elements);
      if (read.ok) return [name, { datatype, shape, data: read.data }];
      throw new Error(`${datatype} cannot hold ${elements[read.wrong]} of "${entries[read.wrong]?.[0]}".`);
    }),
  );
}

/**
 * The numbers of a row by the names of their columns, as the model sees them; a column without numbers is left out.
 *
 * @param now milliseconds since the Unix epoch.
 */
export function numbersOf(
  { inputs }: Pick<PredictionModel, 'inputs'>,
  features: FeatureRow,
  request: RequestValues,
  now: number,
): [name: string, value: number][] {
  return Object.values(inputs).flatMap(({ columns }) =>
    Object.entries(columns).flatMap(([name, column]): [string, number][] => {
      const value = columnValue(column, features, request, now);
      return typeof value === 'number' ? [[name, value]] : [];
    }),
  );
}

/** The features that the model uses. */
export function usedFeatures(definition: ModelDefinition, features: FeatureRow): FeatureRow {
  const names = referencesOf(definition).map(({ readName }) => readName);
  return Object.fromEntries(
    names.flatMap((name) => (features[name] === undefined ? [] : [[name, features[name]]])),
  );
}

/** The definitions of the features that the model uses: its answers depend on no others. */
export function featuresOf(definition: ModelDefinition): FeatureDefinition[] {
  return referencesOf(definition).map(({ feature }) => feature);
}

/** Whether none of these features is being built from history. */
export function isReady(features: FeatureRow): boolean {
  return Object.values(features).every(({ status }) => status !== 'NOT_READY');
}

function columnValue(column: Column, features: FeatureRow, request: RequestValues, now: number): unknown {
  switch (column.from) {
    case 'constant':
      return column.value;
    case 'request':
      return request[column.field];
    case 'feature':
      return featureValue(column, features, now);
  }
}

function featureValue(
  { reference, default: missing }: FeatureColumn,
  features: FeatureRow,
  now: number,
): ConstantValue {
  const stored = features[reference.readName];
  if (stored === undefined || stored.status === 'NOT_FOUND' || stored.value === null) return missing;
  return reference.read(stored.value, now) ?? missing;
}

/** Converts a value to a JSON element. */
function elementOf(value: unknown): JsonElement {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  throw new Error(`A column cannot have a value of type ${typeof value}.`);
}
