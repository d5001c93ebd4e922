import type { Catalog } from '../catalog.ts';
import type { DatasetDefinition } from '../dataset.ts';
import { readNames } from '../feature.ts';
import type { ModelDefinition } from '../model.ts';
import type { Report } from '../problem.ts';

/** Columns that every dataset has (`training/datasets/columns.ts`). */
const OWN_COLUMNS = ['at', 'label', 'weight'];
const DAYS_MAX = 3_650;
/** A second. */
const DAYS_MIN = 1 / 86_400;
const NEGATIVES_MAX = 1_000;

type Say = (problem: string, remedy: string) => void;

/** Checks the datasets of the models. */
export function checkDatasets({ models, events, features }: Catalog, report: Report): void {
  for (const definition of models) {
    const { dataset } = definition;
    checkRetraining(definition, report);
    if (dataset === undefined) continue;
    const say: Say = (problem, remedy) =>
      report(definition, `model "${definition.name}", dataset`, problem, remedy);
    if (dataset.entity !== definition.entity)
      say(
        `Its rows are of "${dataset.entity.name}"; the model is of "${definition.entity.name}".`,
        `Give it the entity "${definition.entity.name}".`,
      );
    if (!events.some(({ type }) => type === dataset.label.eventType))
      say(
        `The catalog has no event type "${dataset.label.eventType}".`,
        'Export the event from a file that `defineCatalog()` is given.',
      );
    checkKind(definition, dataset, say);
    checkDays(dataset, say);
    checkColumns(definition, dataset, say);
    for (const [column, { feature, readName, entity }] of Object.entries(dataset.itemFeatures)) {
      if (definition.task === 'ranking' && entity !== definition.itemEntity)
        say(
          `The item feature "${column}" belongs to "${entity.name}"; the items are of "${definition.itemEntity.name}".`,
          `Use a feature of "${definition.itemEntity.name}".`,
        );
      if (!features.includes(feature) || !readNames(feature).includes(readName))
        say(
          `The catalog has no feature "${readName}" of "${entity.name}".`,
          'Name a declared feature, by one of its windows.',
        );
    }
  }
}

/** A model that is trained without anybody asking for it has to be trainable in the worker. */
function checkRetraining(definition: ModelDefinition, report: Report): void {
  const { name, dataset, training, retraining } = definition;
  const { afterEvents, everyDays, onDrift } = retraining;
  if (afterEvents === undefined && everyDays === undefined && !onDrift) return;
  const isMade = definition.task !== 'ranking' || definition.makeCandidates !== undefined;
  if (dataset !== undefined && training !== undefined && isMade) return;
  const missing = dataset === undefined ? 'dataset' : training === undefined ? 'training' : 'makeCandidates';
  report(
    definition,
    `model "${name}", retraining`,
    `It is trained again, and declares no \`${missing}\`.`,
    'Leave `retraining` out, or declare what docs/training.md says of runs.',
  );
}

function checkKind(definition: ModelDefinition, { rows, negatives }: DatasetDefinition, say: Say): void {
  if ((definition.task === 'ranking') !== (rows === 'items'))
    say(
      `The model is a ${definition.task}; its rows are of ${rows}.`,
      'Use `dataset.ofItems` for a ranking, and for no other model.',
    );
  if (definition.task === 'classification' && rows === 'periods' && !areNumbers(definition.classes))
    say('A label of a period is a number, and no class is one.', 'Declare numbers as classes.');
  if (rows === 'items' && !isWithin(negatives, NEGATIVES_MAX))
    say(`It samples ${negatives} items.`, `Use a whole number from 1 to ${NEGATIVES_MAX}.`);
}

function areNumbers(classes: readonly (string | number)[]): boolean {
  return classes.every((label) => typeof label === 'number');
}

function checkDays({ rows, horizonDays, everyDays, warmUpDays, split }: DatasetDefinition, say: Say): void {
  const days = {
    ...(rows === 'events' ? {} : { horizonDays, everyDays }),
    validationDays: split.validationDays,
    testDays: split.testDays,
  };
  for (const [name, value] of Object.entries(days))
    if (!(value >= DAYS_MIN && value <= DAYS_MAX))
      say(`\`${name}\` is ${value}.`, `Use a number from ${DAYS_MIN} (a second) to ${DAYS_MAX}.`);
  if (!(warmUpDays >= 0 && warmUpDays <= DAYS_MAX))
    say(`\`warmUpDays\` is ${warmUpDays}.`, `Use a number from 0 to ${DAYS_MAX}.`);
  for (const part of ['validationDays', 'testDays'] as const)
    if (split[part] < horizonDays)
      say(
        `\`${part}\` is ${split[part]}, and a label takes ${horizonDays} days: no row would be in that part.`,
        'Make the part at least as long as the horizon.',
      );
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

/** A file has each column once, and values of features alone. */
function checkColumns(definition: ModelDefinition, { itemFeatures }: DatasetDefinition, say: Say): void {
  const isRanking = definition.task === 'ranking';
  if (!isRanking)
    for (const { columns } of Object.values(definition.inputs))
      for (const [name, column] of Object.entries(columns))
        if (column.from === 'request')
          say(
            `The column "${name}" comes from the request, and history has no requests.`,
            'Leave the dataset out, or make the column a feature.',
          );
  const names = [
    ...OWN_COLUMNS,
    definition.entity.name,
    ...(isRanking ? [definition.itemEntity.name, ...Object.keys(definition.features)] : []),
    ...(isRanking
      ? []
      : Object.values(definition.inputs).flatMap(({ columns }) =>
          Object.entries(columns).flatMap(([name, { from }]) => (from === 'feature' ? [name] : [])),
        )),
    ...Object.keys(itemFeatures),
  ];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    say(`Two of its columns are named "${repeated}".`, 'Rename the column of the model.');
}
