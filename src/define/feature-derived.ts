import * as z from 'zod';
import type { EntityDefinition } from './entity.ts';
import type { EventValue, FeatureReference } from './feature-definition.ts';
import { DeclarationMistake, defining } from './mistake.ts';

/** Values of features, by the names that a derived feature gives them. */
type Inputs<Owner extends EntityDefinition> = Readonly<Record<string, FeatureReference<Owner>>>;
type Values<Of> = {
  readonly [Input in keyof Of]: Of[Input] extends FeatureReference<EntityDefinition, infer Value>
    ? Value
    : never;
};
type RequestFields = Readonly<Record<string, z.ZodType<EventValue>>>;
type RequestOf<Fields extends RequestFields> = { readonly [Field in keyof Fields]: z.output<Fields[Field]> };

/**
 * A value that is computed when it is read, from other features of the entity and from fields of the request. It has no
 * state, so a new one is right from its first read.
 */
export interface DerivedFeature {
  readonly kind: 'derived-feature';
  /** Unique among the read names of its entity. */
  readonly name: string;
  readonly entity: EntityDefinition;
  readonly inputs: Readonly<Record<string, FeatureReference>>;
  /** The fields that a request for it has to send. */
  readonly request: z.ZodObject<Record<string, z.ZodType>>;
  /** A pure function of the inputs' values and of the parsed request. */
  readonly compute: (values: Readonly<Record<string, unknown>>, request: unknown) => EventValue;
}

/** Declares features that are computed from others. */
export const derived = {
  /** Any pure function of features and of fields of the request. */
  derived: <
    Owner extends EntityDefinition,
    const Of extends Inputs<Owner>,
    const Fields extends RequestFields = Record<never, never>,
  >(declaration: {
    name: string;
    entity: Owner;
    inputs: Of & Inputs<Owner>;
    request?: Fields;
    compute: (values: Values<Of>, request: RequestOf<Fields>) => EventValue;
  }): DerivedFeature => {
    const { name, entity, inputs, request, compute } = declaration;
    return defining<DerivedFeature>({ kind: 'derived-feature', name }, () => {
      if (Object.keys(inputs).length === 0)
        throw new DeclarationMistake('It has no inputs.', 'Name at least one feature as its input.');
      return {
        kind: 'derived-feature',
        name,
        entity,
        inputs,
        request: z.object({ ...request }),
        // The values come from the inputs' own `read`, and the request from its own schema.
        compute: (values, fields) => compute(values as Values<Of>, fields as RequestOf<Fields>),
      };
    });
  },

  /** One number by another; without a value where the divisor is 0 or one of the two has none. */
  ratio: <Owner extends EntityDefinition>({
    name,
    of,
    to,
  }: {
    name: string;
    of: FeatureReference<Owner, number | null>;
    to: FeatureReference<Owner, number | null>;
  }): DerivedFeature =>
    defining<DerivedFeature>({ kind: 'derived-feature', name }, () => ({
      kind: 'derived-feature',
      name,
      entity: of.entity,
      inputs: { of, to },
      request: z.object({}),
      compute: (values) => {
        const [part, whole] = [values['of'], values['to']];
        return typeof part === 'number' && typeof whole === 'number' && whole !== 0 ? part / whole : null;
      },
    })),
};
