import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WRITTEN_EXAMPLES } from '../../src/gateway/contract/written-examples.ts';
import { differences } from '../support/gateway/agree.ts';
import { startCli } from '../support/node/cli.ts';
import { eventually, KEY, type Stack, startStack } from '../support/node/stack.ts';

/** The packages of Python with readers of Parquet (datasets/requirements.txt), which `.ci/run` prepares. */
const PACKAGES = process.env['TEST_PARQUET_PYTHON'];
if (PACKAGES === undefined) console.warn('Skipped: TEST_PARQUET_PYTHON is not set.');
const PURCHASES = 6_000;
const CUSTOMERS = 40;
const PRODUCTS = 25;

let stack: Stack;
/** What the command line pulls. */
const folder = mkdtempSync(join(tmpdir(), 'millrace-datasets-'));
beforeAll(async () => {
  // 60 days, the newest of them two days ago: each purchase was stored a second after it happened.
  stack = await startStack(
    {},
    {
      existing: [
        `insert into millrace.events (source, id, type, occurred_at, recorded_at, data, batch)
         select '/old', n::text, 'shop.purchase.v1', m_at, m_at + interval '1 second',
           jsonb_build_object('invoice', n::text, 'sku', 'S' || (n * 7 + n / 11) % ${PRODUCTS}, 'quantity', 1 + n % 3,
             'unitPrice', 1.5, 'customerId', 'c' || n % ${CUSTOMERS}, 'country', 'UK'), gen_random_uuid()
         from (select n, date_trunc('day', now()) - interval '62 days' + n * interval '864 seconds' as m_at
           from generate_series(1, ${PURCHASES}) n) m_all`,
      ],
    },
  );
});
afterAll(() => stack[Symbol.asyncDispose]());

interface Dataset {
  readonly id: string;
  readonly state: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly failure: { readonly code: string; readonly detail: string } | null;
  readonly progress: { readonly labelEvents: number; readonly parts: number };
  readonly manifest: {
    readonly digest: string;
    readonly rows: Readonly<Record<string, number>>;
    readonly files: readonly { readonly name: string; readonly rows: number; readonly sha256: string }[];
    readonly quality: unknown;
  } | null;
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...init.headers };
  return await stack.fetch(path, { ...init, headers });
}

async function create(body: object): Promise<Dataset> {
  const answer = await call('/v1/admin/datasets', { method: 'POST', body: JSON.stringify(body) });
  expect(answer.status).toBe(202);
  return (await answer.json()) as Dataset;
}

async function ended(id: string): Promise<Dataset> {
  return await eventually(
    async () => (await (await call(`/v1/admin/datasets/${id}`)).json()) as Dataset,
    ({ state }) => state === 'ready' || state === 'failed',
    60_000,
  );
}

async function bytesOf(id: string, file: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await call(`/v1/admin/datasets/${id}/files/${file}`);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'application/vnd.apache.parquet',
  ]);
  return new Uint8Array(await answer.arrayBuffer());
}

describe('a dataset', () => {
  it('is made of a history, found again, given out, deleted, and made again with the same digest', async () => {
    const begun = await create({ model: 'ranker', seed: 5 });
    const shown = await ended(begun.id);
    expect(differences(WRITTEN_EXAMPLES['getDataset']?.['200'], shown)).toEqual([]);
    const { manifest, state, failure } = shown;
    expect([state, failure]).toEqual(['ready', null]);
    if (manifest === null) throw new Error('It is ready.');
    expect(manifest.rows['train']).toBeGreaterThan(1_000);
    expect((await create(begun.request)).id).toBe(begun.id);
    for (const { name, rows, sha256 } of manifest.files) {
      const bytes = await bytesOf(begun.id, name);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
      expect(await parquetReadObjects({ file: bytes.buffer })).toHaveLength(rows);
    }
    const [first] = manifest.files;
    const part = await call(`/v1/admin/datasets/${begun.id}/files/${first?.name}`, {
      headers: { range: 'bytes=0-3' },
    });
    expect([part.status, await part.text()]).toEqual([206, 'PAR1']);

    expect((await call(`/v1/admin/datasets/${begun.id}`, { method: 'DELETE' })).status).toBe(202);
    await eventually(
      async () => (await call(`/v1/admin/datasets/${begun.id}`)).status,
      (status) => status === 404,
      60_000,
    );
    const again = await create(begun.request);
    expect((await ended(again.id)).manifest?.digest).toBe(manifest.digest);
    const audit = await stack.sql(
      "select distinct action from millrace.audit_log where action like 'dataset.%' order by action",
    );
    expect(audit).toEqual([{ action: 'dataset.create' }, { action: 'dataset.delete' }]);
  });

  it('is refused where the model has none, the moment is too new, or the declaration is another one', async () => {
    const refused = async (body: object) => {
      const answer = await call('/v1/admin/datasets', { method: 'POST', body: JSON.stringify(body) });
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await refused({ model: 'mood' })).toEqual([422, 'unprocessable']);
    expect(await refused({ model: 'none' })).toEqual([404, 'unknown_model']);
    expect(await refused({ model: 'ranker', asOf: new Date().toISOString() })).toEqual([
      422,
      'unprocessable',
    ]);
    expect(await refused({ model: 'ranker', recipe: 'another' })).toEqual([409, 'recipe_changed']);
    const short = await create({ model: 'ranker', to: '2000-01-01T00:00:00Z' });
    expect((await ended(short.id)).failure?.code).toBe('dataset_empty');
  });

  it('is made and pulled by the command line, and made again from what it wrote', async () => {
    const cli = async (...args: string[]) => await startCli(stack.url.origin, 'datasets', ...args).ended;
    const made = await cli('create', 'ranker', '--seed', '6');
    expect([made.code, made.text]).toEqual([0, expect.stringMatching(/is ready: \d+ rows to train with/)]);
    const [, id = ''] = /The dataset ([0-9a-f]{32}) is ready/.exec(made.text) ?? [];
    expect((await cli('list')).text).toContain(id);
    const pulled = await cli('pull', id, folder);
    expect([pulled.code, pulled.text]).toEqual([0, expect.stringContaining('3 files and manifest.json')]);
    const again = await cli('create', '--again', join(folder, 'manifest.json'));
    expect(again.text).toContain(`The dataset ${id} is ready`);
    expect((await cli('pull', '0'.repeat(32), folder)).code).toBe(4);
  });

  it.skipIf(PACKAGES === undefined)('is read alike by pandas, DuckDB and Polars', () => {
    const { stdout, stderr, status } = spawnSync(
      'python3',
      [join(import.meta.dirname, 'datasets/read.py'), folder],
      { env: { ...process.env, PYTHONPATH: PACKAGES }, encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([0, '']);
    const { pandas, duckdb, polars } = JSON.parse(stdout) as Record<
      string,
      { rows: number; columns: string[] }
    >;
    const { manifest } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Dataset;
    expect(pandas?.rows).toBe(manifest?.files.reduce((sum, { rows }) => sum + rows, 0));
    expect(pandas?.columns).toContain('units_7d');
    expect(duckdb).toEqual(pandas);
    expect(polars).toEqual(pandas);
  });
});
