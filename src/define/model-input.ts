import * as z from 'zod';
import type { Datatype, NumericDatatype } from './datatype.ts';
import type { EntityDefinition } from './entity.ts';
import type { FeatureReference } from './feature.ts';

/** One value of a feature of the model's entity, as of the moment of the prediction. */
export interface FeatureColumn<Owner extends EntityDefinition = EntityDefinition> {
  readonly from: 'feature';
  readonly reference: FeatureReference<Owner, number | null>;
  /** Replaces a missing value: no event has contributed for the entity yet, or the value is null. */
  readonly default: number;
}

/** A column with the same value in each prediction. */
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
  /** By column name, in the order in which the graph takes the columns. */
  readonly columns: Readonly<Record<string, Column>>;
}

/** The inputs of a graph, by their names in the graph. */
export type ModelInputs = Readonly<Record<string, ModelInput>>;

/** A declared input, whose columns must fit its element type. */
export type InputDeclaration<Owner extends EntityDefinition, Field extends string> =
  | {
      /** The default is FP32. */
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
 * @param options.default replaces a missing value. `Number.NaN` is allowed for floats, because gradient-boosted
 *   trees treat it as "missing".
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
  // The literal type is widened, so that `constant(1)` is accepted for a number.
  return { from: 'constant', value } as ConstantColumn<never>;
}

/** A column with a field of the request. */
export function fromRequest<const Field extends string>(field: Field): RequestColumn<Field> {
  return { from: 'request', field };
}

/** The JSON type of a field's values; undefined if its schema does not define one. */
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
