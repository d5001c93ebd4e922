import type * as z from 'zod';
import type { Catalog } from '../catalog.ts';
import { type Datatype, holds, isFloat } from '../datatype.ts';
import { type FeatureDefinition, type FeatureReference, readNames } from '../feature.ts';
import { answerSchema, type ModelDefinition, type PredictionModel, referencesOf } from '../model.ts';
import { type Column, jsonTypeOf } from '../model-input.ts';
import { parametersOf } from '../path.ts';
import type { Report, Within } from '../problem.ts';
import { checkRecommending } from './recommending.ts';

/** The most inputs of a manifest (`inference/bundle.ts`). */
const INPUTS_MAX = 64;
const COLUMNS_MAX = 512;
/** The members of an answer other than its outputs. */
const RESERVED = [
  ...['key', 'model', 'predictionId', 'source', 'degraded'],
  ...['features', 'freshness', 'explanation'],
];
/** The parameter by which a path takes the parts that a client asks for. */
const INCLUDE = 'include';

/**
 * Checks that models read declared features, in types that tensors can hold, and that their answers match their
 * declarations.
 */
export function checkModels({ models, features }: Catalog, report: Report): void {
  for (const definition of models) {
    const within: Within = (problem, remedy, ...place) =>
      report(definition, [`model "${definition.name}"`, ...place].join(', '), problem, remedy);
    checkPath(definition, within);
    checkSuccessor(definition, models, within);
    if (definition.isPublic && definition.entity.rows !== undefined)
      within(
        `It is public, so it answers for rows of "${definition.entity.name}" without a claim.`,
        'Leave out `public`, or `rows` of the entity.',
      );
    for (const reference of referencesOf(definition)) checkReference(definition, reference, features, within);
    if (definition.task === 'ranking') {
      checkColumnNames(definition.columns, within);
      checkRecommending(definition, within);
    } else {
      checkInputs(definition, within);
      checkOutputs(definition, within);
    }
  }
}

/** Clients of a deprecated model are sent to the routes of the model that replaces it. */
function checkSuccessor(
  definition: ModelDefinition,
  models: readonly ModelDefinition[],
  within: Within,
): void {
  const by = definition.deprecated?.by;
  if (by === undefined || (by !== definition && models.includes(by))) return;
  within(
    by === definition
      ? 'It is replaced by itself.'
      : `The catalog has no model "${by.name}", which replaces it.`,
    'Name another model of the catalog in `by`, or leave it out.',
  );
}

/** The path's parameters must be exactly the columns of the entity's key. */
function checkPath({ path, entity }: ModelDefinition, within: Within): void {
  if (path === undefined) return;
  const parameters = parametersOf(path);
  const properties = entity.key.columns.map(({ property }) => property);
  // The parameter of a key of one column may have any name.
  const fits =
    properties.length === 1
      ? parameters.length === 1
      : parameters.toSorted().join() === properties.toSorted().join();
  if (!fits)
    within(
      `The path "${path}" has the parameters ${parameters.join(', ') || 'none'}; the key of "${entity.name}" is ${properties.join(', ')}.`,
      'Put the key into the path, each of its columns in braces.',
    );
}

function checkReference(
  { entity }: ModelDefinition,
  { feature, readName, entity: owner }: FeatureReference,
  features: readonly FeatureDefinition[],
  within: Within,
): void {
  const place = `feature "${readName}"`;
  const names = readNames(feature);
  if (owner !== entity)
    within(
      `The feature belongs to "${owner.name}"; the model reads features of "${entity.name}".`,
      `Use a feature of "${entity.name}".`,
      place,
    );
  else if (!features.includes(feature))
    within(
      'The catalog has no such feature.',
      'Export the feature from a file that `defineCatalog()` is given.',
      place,
    );
  else if (!names.includes(readName))
    within(
      `"${feature.name}" is read as ${names.join(', ')}.`,
      'Use one of these, or add the window to the feature.',
      place,
    );
}

function checkColumnNames(names: readonly string[], within: Within, ...place: string[]): void {
  if (names.length === 0 || names.length > COLUMNS_MAX)
    within(`There are ${names.length} columns.`, `Declare 1 to ${COLUMNS_MAX}.`, ...place);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    within(`The column "${repeated}" occurs twice.`, 'Rename one of the two.', ...place);
}

function checkInputs(definition: PredictionModel, within: Within): void {
  const inputs = Object.entries(definition.inputs);
  const { shape } = definition.request;
  if (inputs.length === 0 || inputs.length > INPUTS_MAX)
    within(`There are ${inputs.length} inputs.`, `Declare 1 to ${INPUTS_MAX}.`);
  const read = new Set<string>();
  for (const [name, { datatype, columns }] of inputs) {
    const place = `input "${name}"`;
    checkColumnNames(Object.keys(columns), within, place);
    for (const [column, of] of Object.entries(columns)) {
      if (of.from === 'request') read.add(of.field);
      // JavaScript moves integer-like properties to the front, so the columns would be out of order.
      if (/^\d+$/.test(column))
        within(`The column name "${column}" is a number.`, 'Begin the name with a letter.', place);
      const found = columnProblem(of, datatype, shape);
      if (found !== undefined) within(...found, place, `column "${column}"`);
    }
  }
  const parameters = parametersOf(definition.path ?? '');
  for (const field of Object.keys(shape)) {
    const place = `field "${field}"`;
    if (!read.has(field)) within('No column reads this field.', 'Remove it, or use `fromRequest()`.', place);
    if (parameters.includes(field))
      within('The path has a parameter of this name.', 'Rename the field.', place);
    if (field === INCLUDE)
      within('Each model takes a parameter of this name by itself.', 'Rename the field.', place);
  }
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
      return column.reference.isWhole || isFloat(datatype)
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
    if (type !== 'number' || isFloat(datatype)) return undefined;
    return [`The field "${field}" takes fractions; ${datatype} has none.`, 'Use z.int(), or FP32 or FP64.'];
  }
  return [`The field "${field}" is a ${type}; the input is ${datatype}.`, 'Change one of the two.'];
}

function checkOutputs(definition: PredictionModel, within: Within): void {
  const properties = Object.keys(definition.outputs);
  if (properties.length === 0) within('It has no outputs.', "Name at least one of the graph's outputs.");
  for (const property of properties.filter((name) => RESERVED.includes(name)))
    within('Each answer has a property of this name.', 'Rename it.', `output "${property}"`);
  if (definition.task === 'classification') {
    const { classes } = definition;
    if (classes.length < 2 || new Set(classes.map(String)).size < classes.length)
      within('The classes are fewer than two, or two of them are equal.', 'Name each class once.');
  }
  const { fallback } = definition;
  if (typeof fallback !== 'object') return;
  const parsed = answerSchema(definition).safeParse(fallback);
  if (parsed.success) return;
  within(
    `The fallback is not what the model answers: ${parsed.error.issues[0]?.message}`,
    'Give a value for each output.',
  );
}
