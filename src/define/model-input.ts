import * as z from 'zod';
import type { Datatype, NumericDatatype } from './datatype.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureReference } from './feature.ts';

/** One value of a feature of the model's entity, as of the moment of the prediction. */
export interface FeatureColumn<Owner extends EntityDefinition = EntityDefinition> {
  readonly from: 'feature';
  readonly reference: FeatureReference<Owner, number | null>;
  /** Stands in for a value that is missing: no event has counted for the entity yet, or the value is null. */
  readonly default: number;
}

/** The same value in each prediction. */
export interface ConstantColumn<Value extends ConstantValue = ConstantValue> {
  readonly from: 'constant';
  readonly value: Value;
}

/** A field that the client sends with the request (an on-demand input). */
export interface RequestColumn<Field extends string = string> {
  readonly from: 'request';
  readonly field: Field;
}

export type ConstantValue = number | boolean | string;
export type Column = FeatureColumn | ConstantColumn | RequestColumn;

/**
 * One input of the graph, filled with one row. The graph's shape is `[-1, n]` or `[1, n]` for n columns, `[n]` for a
 * graph without a batch dimension, or `[-1]` for a single column.
 */
export interface ModelInput {
  readonly datatype: Datatype;
  /** By the column's name, in the order in which the graph takes them. */
  readonly columns: Readonly<Record<string, Column>>;
}

/** The inputs of a graph, by their names in the graph. */
export type ModelInputs = Readonly<Record<string, ModelInput>>;

/** An input as it is declared: the columns fit its element type. */
export type InputDeclaration<Owner extends EntityDefinition, Field extends string> =
  | {
      /** FP32 where it is not stated. */
      readonly datatype?: NumericDatatype;
      readonly columns: Readonly<
        Record<string, FeatureColumn<Owner> | ConstantColumn<number> | RequestColumn<Field>>
      >;
    }
  | {
      readonly datatype: 'BOOL';
      readonly columns: Readonly<Record<string, ConstantColumn<boolean> | RequestColumn<Field>>>;
    }
  | {
      readonly datatype: 'BYTES';
      readonly columns: Readonly<Record<string, ConstantColumn<string> | RequestColumn<Field>>>;
    };

/** The fields that a client sends with a request: numbers, booleans or texts. */
export type RequestShape = Readonly<Record<string, z.ZodType<ConstantValue>>>;

/**
 * A column with a feature's value.
 *
 * @param options.default stands in for a missing value. `Number.NaN` is allowed for FP32 and FP64: gradient-boosted
 *   trees take it for "missing".
 */
export function fromFeature<Owner extends EntityDefinition>(
  reference: FeatureReference<Owner, number | null>,
  options: { readonly default: number },
): FeatureColumn<Owner> {
  return { from: 'feature', reference, default: options.default };
}

/** A column with the same value in each prediction. */
export function constant<const Value extends ConstantValue>(
  value: Value,
): ConstantColumn<Value extends number ? number : Value extends boolean ? boolean : string> {
  // The literal type is widened, so that `constant(1)` fits where numbers are wanted.
  return { from: 'constant', value } as ConstantColumn<never>;
}

/** A column with a field of the request. */
export function fromRequest<const Field extends string>(field: Field): RequestColumn<Field> {
  return { from: 'request', field };
}

/** The JSON type of a field's values; undefined where its schema does not say one. */
export function jsonTypeOf(schema: z.ZodType): string | undefined {
  const json: Readonly<Record<string, unknown>> = z.toJSONSchema(schema, {
    io: 'output',
    unrepresentable: 'any',
  });
  if (typeof json['type'] === 'string') return json['type'];
  const values: unknown = json['enum'] ?? ('const' in json ? [json['const']] : undefined);
  const types = Array.isArray(values) ? [...new Set(values.map((value) => typeof value))] : [];
  return types.length === 1 ? types[0] : undefined;
}
