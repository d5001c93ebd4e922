import type { z } from '@hono/zod-openapi';
import { jsonTypeOf } from '../define/model-input.ts';
import { Failure } from '../platform/failure.ts';

/**
 * The one rule for the parameters of every query, whether its route belongs to the catalog or not. Schemas alone would
 * let each route decide: `Number('')` is 0, `Number('0x10')` is 16, and a name that no schema has is dropped.
 */

/** What one parameter may be, before its schema judges its value. */
interface ParameterForm {
  /** The form of its text; undefined if any text may be a value. */
  readonly text: { readonly pattern: RegExp; readonly name: string } | undefined;
  readonly isRepeatable: boolean;
}

/** The parameters of a query, by name. */
export type QueryForm = ReadonlyMap<string, ParameterForm>;

/** The canonical text of an integer: digits without a plus and without leading zeros, or a minus before such digits. */
const INTEGER = { pattern: /^(?:0|-?[1-9]\d*)$/, name: 'an integer in decimal digits, such as 10' };
/** A number of JSON (RFC 8259 §6). */
const NUMBER = { pattern: /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/, name: 'a number, such as 1.5' };

/** A route without a declared query takes no parameters. */
export const NO_PARAMETERS: QueryForm = new Map();

const known = new WeakMap<z.ZodObject, QueryForm>();

/** The form of a query, from the schema that the OpenAPI document shows. */
export function queryFormOf(schema: z.ZodObject): QueryForm {
  const made = known.get(schema);
  if (made !== undefined) return made;
  const fields: readonly (readonly [string, z.ZodType])[] = Object.entries(schema.shape);
  const form = new Map(fields.map(([name, field]) => [name, formOf(jsonTypeOf(field))]));
  known.set(schema, form);
  return form;
}

function formOf(type: string | undefined): ParameterForm {
  const text = type === 'integer' ? INTEGER : type === 'number' ? NUMBER : undefined;
  return { text, isRepeatable: type === 'array' };
}

/**
 * The parameters of a query in the form that browsers send (`application/x-www-form-urlencoded`). Of a parameter that
 * may be repeated, the last one is returned.
 *
 * @param search without the question mark.
 * @throws Failure `invalid_request` with the name of a parameter that the route does not declare, that is given twice, or
 *   whose text is not the one canonical text of a number. Readers would disagree on what each of them means.
 */
export function parametersOf(search: string, form: QueryForm, pointerPrefix: string): Record<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    const refused = (detail: string) =>
      new Failure('invalid_request', detail, { pointer: pointerPrefix + name });
    const declared = form.get(name);
    if (declared === undefined) throw refused(unknownDetail(name, form));
    const { text, isRepeatable } = declared;
    if (parameters.has(name) && !isRepeatable)
      throw refused(`The parameter "${name}" is given twice. Send it once.`);
    if (text !== undefined && !text.pattern.test(value))
      throw refused(
        `The parameter "${name}" has to be ${text.name}. Leave it out instead of sending it empty.`,
      );
    parameters.set(name, value);
  }
  // `Object.fromEntries` defines own properties, so a parameter may be named `__proto__`.
  return Object.fromEntries(parameters);
}

function unknownDetail(name: string, form: QueryForm): string {
  const names = [...form.keys()].join(', ');
  const takes = names === '' ? 'takes no parameters' : `takes ${names}`;
  return `The path has no parameter "${name}"; it ${takes}. See /openapi.json.`;
}
