import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { expectedSpendBundle, moodBundle } from '../../support/models/outside.ts';
import { rankerBundle } from '../../support/models/ranker.ts';
import { IS_PART } from '../../support/node/part.ts';
import { KEY, type Stack, startStack } from '../../support/node/stack.ts';

/**
 * The whole document against the running service, by a tool that knows nothing of Millrace: no 5xx, no status or body
 * that the document does not have, no valid request refused, no invalid one accepted, no key ignored.
 */

/** A folder with the packages of `tools/requirements.txt`; `.ci/run` brings one. */
const PACKAGES = process.env['TEST_OPENAPI_PYTHON'];
const FOLDER = import.meta.dirname;
const TITLE =
  PACKAGES === undefined
    ? 'schemathesis finds nothing (skipped: TEST_OPENAPI_PYTHON is not set)'
    : 'schemathesis finds nothing';
/** Of a slow machine; a quiet one takes a third of it. */
const TIMEOUT_MS = 600_000;
/** The live feed never ends its answer, and the tool reads each to its end. `changes.long.test.ts` reads the feed. */
const ENDLESS = '/v1/changes';

let stack: Stack;
let values: Awaited<ReturnType<typeof given>>;
beforeAll(async () => {
  if (PACKAGES === undefined) return;
  // Thousands of requests of one address use its budget up: 429 comes before 401 then.
  stack = await startStack({ LIMITS: 'off' });
  await fill();
  // Before the tool deletes what the lists show: a cursor stays valid without its row.
  values = await given();
}, TIMEOUT_MS);
afterAll(() => stack?.[Symbol.asyncDispose]());

const AUTHORIZED = { authorization: `Bearer ${KEY}` };

/** Events of each type, rows, and a version of each model, so that there is something to read. */
async function fill(): Promise<void> {
  const events = ['ada', 'bert', 'cleo'].flatMap((customerId, buyer) =>
    ['10001A', '10002B', '10003C'].map((sku, index) => ({
      specversion: '1.0',
      id: `${customerId}-${sku}`,
      source: '/contract',
      type: 'shop.purchase.v1',
      data: {
        ...{ invoice: String(buyer + 1), sku, description: `Product ${sku}`, quantity: index + 1 },
        ...{ unitPrice: index + 0.5, customerId, country: 'UK' },
      },
    })),
  );
  const send = (method: string, path: string, type: string, body: unknown) =>
    stack.fetch(path, {
      method,
      headers: { ...AUTHORIZED, 'content-type': type, prefer: 'wait' },
      body: JSON.stringify(body),
    });
  const sent = await send('POST', '/v1/events', 'application/cloudevents-batch+json', events);
  expect(sent.status, await sent.text()).toBeLessThan(300);
  const bundles = {
    ranker: rankerBundle(),
    mood: await moodBundle(),
    'expected-spend': await expectedSpendBundle(),
  };
  for (const [model, bundle] of Object.entries(bundles)) {
    const published = await send('PUT', `/v1/admin/models/${model}/champion`, 'application/json', bundle);
    expect(published.status, await published.text()).toBe(201);
  }
}

/**
 * Values that only the service can give, for `hooks.py`: a cursor of each list with the parameters that it belongs to, and
 * a token of the clock.
 */
async function given() {
  const LISTS = [
    { path: '/v1/products', url: '/v1/products?limit=1', parameter: 'after', of: {} },
    { path: '/v1/price-list', url: '/v1/price-list?limit=1', parameter: 'after', of: {} },
    {
      path: '/v1/customers',
      url: '/v1/customers?country=UK&limit=1',
      parameter: 'after',
      of: { country: 'UK' },
    },
    {
      path: '/v1/customers/{id}/purchases',
      url: '/v1/customers/ada/purchases?limit=1',
      parameter: 'before',
      of: { id: 'ada' },
    },
  ];
  let token: string | null = null;
  const cursors: Record<string, { parameter: string; cursor: string; of: object }> = {};
  for (const { path, url, parameter, of } of LISTS) {
    const response = await stack.fetch(url, { headers: AUTHORIZED });
    const { next } = z.object({ next: z.string() }).parse(await response.json());
    token = response.headers.get('millrace-token') ?? token;
    cursors[path] = { parameter, cursor: next, of };
  }
  return { cursors, token };
}

async function schemathesis(...options: readonly string[]): Promise<{ code: unknown; output: string }> {
  const main = 'from schemathesis.cli import schemathesis; schemathesis()';
  const args = ['-c', main, '--config-file', join(FOLDER, 'schemathesis.toml'), 'run'];
  // It writes what it finds into the folder in which it runs.
  const cwd = mkdtempSync(join(tmpdir(), 'millrace-schemathesis-'));
  const child = spawn(
    'python3',
    [
      ...args,
      new URL('/openapi.json', stack.url).href,
      ...[
        '--exclude-path',
        ENDLESS,
        '--request-timeout',
        '30',
        '--generation-allow-x00',
        'false',
        '--workers',
        '2',
        '--continue-on-failure',
      ],
      ...['--seed', '1', '--generation-database', 'none', '--output-sanitize', 'false', '--no-color'],
      ...options,
    ],
    {
      env: {
        ...process.env,
        PYTHONPATH: PACKAGES,
        SCHEMATHESIS_HOOKS: join(FOLDER, 'hooks.py'),
        MILLRACE_CONTRACT: JSON.stringify(values),
      },
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const [code]: unknown[] = await once(child, 'close');
  rmSync(cwd, { recursive: true });
  return { code, output };
}

describe.skipIf(PACKAGES === undefined)(TITLE, () => {
  it(
    'with a key, in all phases',
    async () => {
      const { code, output } = await schemathesis(
        ...['--phases', IS_PART ? 'examples,coverage' : 'examples,coverage,fuzzing,stateful'],
        ...['--max-examples', '15'],
        // A part leaves most operations to the requests without a key, which try all.
        ...(IS_PART ? ['--include-path-regex', '^/v1/products'] : []),
        ...['--header', `Authorization: Bearer ${KEY}`],
        // A phase that it switched off would refuse the other requests; `phases.long.test.ts` tries what it takes.
        ...['--exclude-operation-id', 'switchPhase'],
      );
      expect(code, output).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'without a key',
    async () => {
      const { code, output } = await schemathesis(
        ...['--phases', IS_PART ? 'examples' : 'examples,coverage,fuzzing', '--max-examples', '3'],
        // A sender without a key gets 401 for a method that a path does not have (docs/gateway.md).
        ...['--exclude-checks', 'unsupported_method'],
      );
      expect(code, output).toBe(0);
    },
    TIMEOUT_MS,
  );
});
