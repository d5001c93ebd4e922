import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLES } from '../../../src/gateway/contract/examples.ts';
import { WRITTEN_EXAMPLES } from '../../../src/gateway/contract/written-examples.ts';
import { differences } from '../../support/gateway/agree.ts';
import { IS_RECORDING } from '../../support/gateway/catalog-examples.ts';
import { exampleOf, OwnExamples, type Recorded } from '../../support/gateway/own-examples.ts';
import { type Success, successes } from '../../support/gateway/successes.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { type Stack, startStack } from '../../support/node/stack.ts';

/**
 * The examples of the OpenAPI document are answers of a running worker. `npm run examples` records them; otherwise this
 * file compares them with what the worker answers now.
 */
const FILE = join(import.meta.dirname, '../../../src/gateway/contract/examples.ts');

/**
 * Operations that no request here lets succeed with JSON. There is no Kafka, no dataset has a file, an artifact is no JSON, no model is trained, no
 * rollout and no phase waits for an approval; and a post-mortem is Markdown.
 */
const NO_SUCCESS = [
  ...[
    'seekKafkaPartition',
    'getDatasetFile',
    'getArtifact',
    'approveRollout',
    'draftPostMortem',
    'approvePhase',
  ],
  ...['startTraining', 'getTrainingRun', 'cancelTrainingRun', 'resumeTrainingRun'],
];
/** Nor do these: they are about one event or one version of a model. Each catalog records them for its own. */
const OF_ONE = ['getEventStatus', 'getEventLineage', 'getLineage'];
/** Names that other catalogs do not have: those of the fixture, and the nouns of its rows. */
const DECLARED = new RegExp(
  [
    ...FIXTURE.catalog.entities.map(({ name }) => name),
    ...FIXTURE.catalog.models.map(({ name }) => name),
    ...FIXTURE.catalog.events.map(({ type }) => type),
    ...['purchase', 'sku', 'invoice', 'doubled'],
  ].join('|'),
  'i',
);

const [MODEL = ''] = FIXTURE.catalog.models.map(({ name }) => name).sort();
const ALL = { ...WRITTEN_EXAMPLES, ...EXAMPLES };

let stack: Stack;
let recorded: readonly Recorded[];
let failed: readonly string[];
beforeAll(async () => {
  stack = await startStack({ LIMITS: 'off' });
  ({ recorded, failed } = await OwnExamples.record(stack));
}, 300_000);
afterAll(() => stack[Symbol.asyncDispose]());

const isOfAll = (one: Recorded) =>
  WRITTEN_EXAMPLES[one.operationId] === undefined && !DECLARED.test(JSON.stringify(exampleOf(one)));

it.runIf(IS_RECORDING)('records the examples', () => {
  const byOperation = Map.groupBy(recorded.filter(isOfAll), ({ operationId }) => operationId);
  const lines = [...byOperation]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([operationId, answers]) => {
      const shown = answers.map((one) => `${one.status}: ${JSON.stringify(exampleOf(one))}`);
      return `  ${operationId}: { ${shown.sort().join(', ')} },`;
    });
  const [head = ''] = readFileSync(FILE, 'utf8').split('= {\n');
  writeFileSync(FILE, `${head}= {\n${lines.join('\n')}\n};\n`);
});

describe.skipIf(IS_RECORDING)('an example of the document', () => {
  it('has the form of what the worker answers now', () => {
    const wrong = recorded.flatMap(({ operationId, status, body }) => {
      const example = EXAMPLES[operationId]?.[status];
      return example === undefined
        ? []
        : differences(example, body).map((difference) => `${operationId} ${status}: ${difference}`);
    });
    expect(wrong).toEqual([]);
  });

  it('is there for each operation of Millrace itself whose answer names nothing of a catalog', () => {
    const wanted = recorded.filter(isOfAll).map(({ operationId, status }) => `${operationId} ${status}`);
    const given = Object.entries(EXAMPLES).flatMap(([operationId, byStatus]) =>
      Object.keys(byStatus).map((status) => `${operationId} ${status}`),
    );
    expect(given.sort()).toEqual(wanted.sort());
    expect(failed.toSorted()).toEqual([...NO_SUCCESS, ...OF_ONE].sort());
  });

  it('is in the document that the worker serves', async () => {
    const document = await (await stack.fetch('/openapi.json')).json();
    const shownNow = successes(document).filter(({ example }) => example !== undefined);
    const wanted = JSON.parse(JSON.stringify(ALL).replaceAll('{model}', MODEL));
    expect(
      shownNow.map(({ operationId, status, example }) => ({ operationId, status, example })).sort(byName),
    ).toEqual(
      Object.entries<Readonly<Record<string, unknown>>>(wanted)
        .flatMap(([operationId, byStatus]) =>
          Object.entries(byStatus).map(([status, example]) => ({ operationId, status, example })),
        )
        .sort(byName),
    );
  });
});

function byName(a: Success, b: Success): number {
  return `${a.operationId} ${a.status}` < `${b.operationId} ${b.status}` ? -1 : 1;
}
