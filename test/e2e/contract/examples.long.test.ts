import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { shownOf } from '../../../scripts/project/examples.ts';
import { EXAMPLES } from '../../../src/gateway/contract/examples.ts';
import { differences } from '../../support/gateway/agree.ts';
import { IS_RECORDING } from '../../support/gateway/catalog-examples.ts';
import { type Sample, samples } from '../../support/gateway/operations.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { KEY, type Stack, startStack } from '../../support/node/stack.ts';

/**
 * The examples of the OpenAPI document are answers of a running worker. `npm run examples` records them; otherwise this
 * file compares them with what the worker answers now.
 */
const FILE = join(import.meta.dirname, '../../../src/gateway/contract/examples.ts');

/** Operations whose samples do not succeed. There is no Kafka and no dataset, and the model has one version. */
const NO_SUCCESS = [
  ...['seekKafkaPartition', 'retireModelVersion', 'rollBackModel'],
  ...['createDataset', 'getDataset', 'getDatasetFile', 'removeDataset'],
];
/** Nor do these: they are about one event or one model, so their answers name declarations. */
const OF_DECLARATIONS = ['getQuarantinedEvent', 'getEventStatus', 'getEventLineage', 'getLineage'];
/** Names that other catalogs do not have. The nouns of the fixture, and those of its rows. */
const DECLARED = new RegExp(
  [
    ...FIXTURE.catalog.entities.map(({ name }) => name),
    ...FIXTURE.catalog.models.map(({ name }) => name),
    ...FIXTURE.catalog.events.map(({ type }) => type),
    ...['purchase', 'sku', 'invoice'],
  ].join('|'),
  'i',
);

const Listed = z.object({
  operations: z.array(
    z.looseObject({ operationId: z.string(), method: z.string(), path: z.string(), owner: z.string() }),
  ),
});

interface Recorded {
  readonly operationId: string;
  readonly status: string;
  readonly body: unknown;
}

let stack: Stack;
let own: readonly { readonly operationId: string; readonly name: string }[];
let recorded: readonly Recorded[];
const failed: string[] = [];
beforeAll(async () => {
  stack = await startStack({ LIMITS: 'off' });
  const inventory = await (await ask('GET', '/v1/inventory')).json();
  own = Listed.parse(inventory)
    .operations.filter(({ owner }) => owner === 'millrace')
    .map(({ operationId, method, path }) => ({ operationId, name: `${method.toUpperCase()} ${path}` }));
  recorded = await record();
}, 120_000);
afterAll(() => stack[Symbol.asyncDispose]());

async function ask(method: string, path: string, body?: unknown, type = 'application/json') {
  return await stack.fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${KEY}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

/** Answers of all operations of Millrace itself, in an order in which each has what it needs. */
async function record(): Promise<Recorded[]> {
  const known = await samples();
  const champion = known['PUT /v1/admin/models/{model}/champion'];
  await (await ask('PUT', champion?.path ?? '', champion?.body)).text();
  const described = await (await ask('GET', '/v2/models/expected-spend')).json();
  const [version = ''] = z.object({ versions: z.array(z.string()) }).parse(described).versions;
  const made = await (
    await ask('POST', '/v1/admin/keys', { name: 'reporting', scopes: ['data:read', 'operations:read'] })
  ).json();
  const key = `/v1/admin/keys/${z.object({ id: z.string() }).parse(made).id}`;
  const found: Readonly<Record<string, Partial<Sample>>> = {
    'GET /v1/admin/keys/{id}': { path: key },
    'POST /v1/admin/keys': { body: { name: 'reporting', scopes: ['data:read', 'operations:read'] } },
    'POST /v1/admin/keys/{id}/rotate': { path: `${key}/rotate`, body: { overlapS: 3_600 } },
    'DELETE /v1/admin/keys/{id}': { path: key },
  };
  const answers: Recorded[] = [];
  // A deleted key is shown by no later request.
  for (const { operationId, name } of own.toSorted((a, b) => order(a.name) - order(b.name))) {
    const sample = { ...known[name], ...found[name] };
    const [method = ''] = name.split(' ');
    if (sample.path === undefined) throw new Error(`${name} has no sample.`);
    const response = await ask(method, sample.path.replace('VERSION', version), sample.body, sample.type);
    const type = response.headers.get('content-type') ?? '';
    if (type.startsWith('text/event-stream')) {
      await response.body?.cancel();
      continue;
    }
    const text = await response.text();
    if (!response.ok) failed.push(operationId);
    else if (type.startsWith('application/json'))
      answers.push({ operationId, status: String(response.status), body: JSON.parse(text) });
  }
  return answers;
}

function order(name: string): number {
  return name.startsWith('DELETE') ? 1 : 0;
}

const isOfAll = ({ body }: Recorded) => !DECLARED.test(JSON.stringify(shownOf(body)));

it.runIf(IS_RECORDING)('records the examples', () => {
  const lines = recorded
    .filter(isOfAll)
    .toSorted((a, b) => (a.operationId < b.operationId ? -1 : 1))
    .map(
      ({ operationId, status, body }) => `  ${operationId}: { ${status}: ${JSON.stringify(shownOf(body))} },`,
    );
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
    expect(failed.sort()).toEqual([...NO_SUCCESS, ...OF_DECLARATIONS].sort());
  });

  it('is in the document that the worker serves', async () => {
    const Document = z.object({
      paths: z.record(
        z.string(),
        z.record(
          z.string(),
          z.looseObject({ operationId: z.string(), responses: z.record(z.string(), z.unknown()) }),
        ),
      ),
    });
    const { paths } = Document.parse(await (await stack.fetch('/openapi.json')).json());
    const Media = z.object({ content: z.object({ 'application/json': z.object({ example: z.unknown() }) }) });
    const shownNow = Object.values(paths).flatMap((methods) =>
      Object.values(methods).flatMap(({ operationId, responses }) =>
        Object.entries(responses).flatMap(([status, response]) => {
          const media = Media.safeParse(response);
          const example = media.success ? media.data.content['application/json'].example : undefined;
          return example === undefined || !status.startsWith('2')
            ? []
            : [[operationId, { [status]: example }]];
        }),
      ),
    );
    expect(Object.fromEntries(shownNow)).toEqual(EXAMPLES);
  });
});
