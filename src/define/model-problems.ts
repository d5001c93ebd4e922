import * as z from 'zod';
import { type Datatype, holds } from './datatype.ts';
import { type FeatureDefinition, type FeatureReference, readNames } from './feature.ts';
import { answerSchema, type ModelDefinition, type PredictionModel, referencesOf } from './model.ts';
import type { Column } from './model-input.ts';

/** A mistake in a declaration. */
export interface DeclarationProblem {
  /** What is wrong, e.g. `model "demand", input "features", column "rides_7d"`. */
  readonly declaration: string;
  readonly problem: string;
  /** What to change. */
  readonly remedy: string;
}

/** As many as a manifest may have (`inference/bundle.ts`). */
export const INPUTS_MAX = 64;
export const COLUMNS_MAX = 512;
/** What an answer has beside its outputs. */
const RESERVED = ['key', 'model', 'predictionId', 'source', 'degraded'];

/** The mistakes in the models of a catalog that types cannot refuse. */
export function modelProblems(
  models: readonly ModelDefinition[],
  features: readonly FeatureDefinition[],
): DeclarationProblem[] {
  return models.flatMap((definition) => {
    const within = problemsWithin(`model "${definition.name}"`);
    return [
      ...nameProblems(definition, within),
      ...referencesOf(definition).flatMap((of) => referenceProblems(definition, of, features, within)),
      ...(definition.task === 'ranking'
        ? listProblems('columns', definition.columns, within)
        : [...inputProblems(definition, within), ...outputProblems(definition, within)]),
    ];
  });
}

type Within = (problem: string, remedy: string, ...place: string[]) => DeclarationProblem;

function problemsWithin(model: string): Within {
  return (problem, remedy, ...place) => ({ declaration: [model, ...place].join(', '), problem, remedy });
}

function nameProblems({ name, path }: ModelDefinition, within: Within): DeclarationProblem[] {
  const problems: DeclarationProblem[] = [];
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name))
    problems.push(
      within('The name is not valid.', 'Use lower case letters, digits and hyphens, at most 64 characters.'),
    );
  if (path !== undefined && parametersOf(path).length === 0)
    problems.push(
      within(`The path ${path} has no parameter.`, "Put the entity's key into the path, in braces."),
    );
  return problems;
}

/** The names in braces of a path. */
export function parametersOf(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

function referenceProblems(
  { entity }: ModelDefinition,
  { feature, readName, entity: owner }: FeatureReference,
  features: readonly FeatureDefinition[],
  within: Within,
): DeclarationProblem[] {
  const place = `feature "${readName}"`;
  if (owner !== entity)
    return [
      within(
        `The feature belongs to "${owner.name}"; the model reads features of "${entity.name}".`,
        `Use a feature of "${entity.name}".`,
        place,
      ),
    ];
  if (!features.includes(feature))
    return [
      within(
        'The catalog has no such feature.',
        'Export the feature from a module that defineCatalog() is given.',
        place,
      ),
    ];
  const names = readNames(feature);
  if (names.includes(readName)) return [];
  return [
    within(
      `"${feature.name}" is read as ${names.join(', ')}.`,
      'Use one of these windows, or add the window to windowsDays of the feature.',
      place,
    ),
  ];
}

function listProblems(what: string, names: readonly string[], within: Within): DeclarationProblem[] {
  const problems: DeclarationProblem[] = [];
  if (names.length === 0 || names.length > COLUMNS_MAX)
    problems.push(within(`There are ${names.length} ${what}.`, `Declare 1 to ${COLUMNS_MAX}.`));
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    problems.push(within(`"${repeated}" is there twice.`, `Give each of the ${what} a name of its own.`));
  return problems;
}

function inputProblems(definition: PredictionModel, within: Within): DeclarationProblem[] {
  const inputs = Object.entries(definition.inputs);
  const { shape } = definition.request;
  const fields = Object.keys(shape);
  const problems: DeclarationProblem[] = [];
  if (inputs.length === 0 || inputs.length > INPUTS_MAX)
    problems.push(within(`There are ${inputs.length} inputs.`, `Declare 1 to ${INPUTS_MAX}.`));
  const read = new Set<string>();
  for (const [name, { datatype, columns }] of inputs) {
    const place = `input "${name}"`;
    const named = Object.keys(columns);
    problems.push(...listProblems('columns', named, (...of) => within(of[0], of[1], place)));
    // JavaScript moves such properties to the front, so the columns would be out of order.
    const numeric = named.find((column) => /^\d+$/.test(column));
    if (numeric !== undefined)
      problems.push(
        within(`The column name "${numeric}" is a number.`, 'Begin the name with a letter.', place),
      );
    for (const [column, of] of Object.entries(columns)) {
      if (of.from === 'request') read.add(of.field);
      const found = columnProblem(of, datatype, shape);
      if (found !== undefined) problems.push(within(...found, place, `column "${column}"`));
    }
  }
  const unread = fields.filter((field) => !read.has(field));
  for (const field of unread)
    problems.push(
      within('No column reads this field.', 'Remove it, or use fromRequest().', `field "${field}"`),
    );
  const clashing = fields.filter((field) => parametersOf(definition.path ?? '').includes(field));
  for (const field of clashing)
    problems.push(within('The path has a parameter of this name.', 'Rename the field.', `field "${field}"`));
  return problems;
}

function columnProblem(
  column: Column,
  datatype: Datatype,
  shape: Readonly<Record<string, z.ZodType>>,
): [problem: string, remedy: string] | undefined {
  switch (column.from) {
    case 'constant':
      return holds(datatype, column.value)
        ? undefined
        : [`${datatype} cannot hold ${JSON.stringify(column.value)}.`, 'Use another constant or datatype.'];
    case 'feature': {
      if (datatype === 'BOOL' || datatype === 'BYTES')
        return [`Features are numbers; the input is ${datatype}.`, 'Use a numeric datatype.'];
      if (!holds(datatype, column.default))
        return [`${datatype} cannot hold the default ${column.default}.`, 'Use another default or datatype.'];
      const isFloat = datatype === 'FP32' || datatype === 'FP64';
      return column.reference.isWhole || isFloat
        ? undefined
        : [`The value has fractions; ${datatype} has none.`, 'Use FP32 or FP64.'];
    }
    case 'request':
      return fieldProblem(column.field, shape[column.field], datatype);
  }
}

function fieldProblem(
  field: string,
  schema: z.ZodType | undefined,
  datatype: Datatype,
): [problem: string, remedy: string] | undefined {
  if (schema === undefined) return [`The request has no field "${field}".`, 'Declare it in `request`.'];
  const absent = schema.safeParse(undefined);
  if (absent.success && absent.data === undefined)
    return [
      `The field "${field}" may be missing, and then the column has no value.`,
      'Give the field a `.default(…)`, or require it.',
    ];
  const type = jsonTypeOf(schema);
  const wanted =
    datatype === 'BYTES' ? ['string'] : datatype === 'BOOL' ? ['boolean'] : ['number', 'integer'];
  if (type === undefined || wanted.includes(type)) {
    const isFloat = datatype === 'FP32' || datatype === 'FP64';
    if (type !== 'number' || isFloat) return undefined;
    return [`The field "${field}" takes fractions; ${datatype} has none.`, 'Use z.int(), or FP32 or FP64.'];
  }
  return [`The field "${field}" is a ${type}; the input is ${datatype}.`, 'Change one of the two.'];
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

function outputProblems(definition: PredictionModel, within: Within): DeclarationProblem[] {
  const properties = Object.keys(definition.outputs);
  const problems: DeclarationProblem[] = [];
  if (properties.length === 0)
    problems.push(within('It has no outputs.', "Name at least one of the graph's outputs."));
  for (const property of properties.filter((name) => RESERVED.includes(name)))
    problems.push(within('Each answer has a property of this name.', 'Rename it.', `output "${property}"`));
  if (definition.task === 'classification') {
    const { classes } = definition;
    if (classes.length < 2 || new Set(classes.map(String)).size < classes.length)
      problems.push(within('The classes are fewer than two, or not different.', 'Name each class once.'));
  }
  const { fallback } = definition;
  if (typeof fallback === 'object') {
    const parsed = answerSchema(definition).safeParse(fallback);
    if (!parsed.success)
      problems.push(
        within(
          `The fallback is not what the model answers: ${parsed.error.issues[0]?.message}`,
          'Give a value for each output.',
        ),
      );
  }
  return problems;
}
