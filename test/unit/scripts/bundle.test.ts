import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type BundleParts,
  makeBundle,
  readBundleFolder,
  writeBundleFolder,
} from '../../../scripts/models/bundle.ts';
import { datasetOrigin } from '../../../scripts/models/dataset-origin.ts';
import { readGraphSignature } from '../../../scripts/models/graph-signature.ts';
import { modelNamed } from '../../../scripts/models/named.ts';
import { publishFolder } from '../../../scripts/models/publish.ts';
import { DATASET_FORMAT } from '../../../src/training/datasets/spec.ts';
import { catalog } from '../../support/catalog/index.ts';
import { expectedSpend, mood } from '../../support/catalog/models.ts';
import { expectedSpendBundle } from '../../support/models/outside.ts';
import { classifierGraph, echoGraph, graphBytes, regressionGraph } from '../../support/onnx/graph.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-bundle-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SPEC = { model: 'spend', asOf: 9, from: null, to: null, knowledge: 'row', seed: 1, recipe: 'r1' };
const BOUNDS = { from: 0, validation: 5, test: 7, to: 9 };
const golden = { inputs: { input: [[0, 0]] }, outputs: { label: ['medium'] }, tolerance: 1e-4 };
const moodParts: BundleParts = { onnx: classifierGraph(), golden };

describe('a graph', () => {
  it('shows its inputs and outputs of every type as the runtime does', () => {
    expect(readGraphSignature(regressionGraph())).toEqual({
      inputs: [
        { name: 'features', datatype: 'FP32', shape: [-1, 2] },
        { name: 'count', datatype: 'INT64', shape: [-1, 1] },
      ],
      outputs: [
        { name: 'variable', datatype: 'FP32', shape: [-1, 1] },
        { name: 'doubled', datatype: 'FP32', shape: [-1, 1] },
      ],
      metadata: {},
    });
    expect(
      readGraphSignature(echoGraph(['BOOL', 'STRING', 'UINT64'])).inputs.map(({ datatype }) => datatype),
    ).toEqual(['BOOL', 'BYTES', 'UINT64']);
  });

  it('that is not ONNX, or returns no tensor, is refused with a remedy', () => {
    expect(() => readGraphSignature(new TextEncoder().encode('not a model'))).toThrow('is not an ONNX model');
    const maps = graphBytes({ inputs: [], outputs: [['maps', 'SEQUENCE_OF_MAPS', []]], nodes: [] });
    expect(() => readGraphSignature(maps)).toThrow("options={'zipmap': False}");
    const complex = graphBytes({
      inputs: [['x', 'COMPLEX64', [1]]],
      outputs: [['x', 'COMPLEX64', [1]]],
      nodes: [],
    });
    expect(() => readGraphSignature(complex)).toThrow('has the ONNX type COMPLEX64');
  });
});

describe('the dataset that a version was trained on', () => {
  const pulled = {
    manifest: {
      ...{ format: DATASET_FORMAT, id: 'a1', columns: [], bounds: BOUNDS, labelEvents: 9, files: [] },
      ...{ digest: 'd1', quality: null, codeVersion: 'dev', rows: { train: 7, validation: 1, test: 1 } },
      spec: SPEC,
    },
  };

  it('is told by id, digest and rows', () => {
    expect(datasetOrigin(pulled, SPEC.model)).toEqual({ dataset: 'a1', datasetDigest: 'd1', rows: 7 });
  });

  it('is refused if it is of another model, or no dataset at all', () => {
    expect(() => datasetOrigin(pulled, 'mood')).toThrow(`is one of the model "${SPEC.model}"`);
    expect(() => datasetOrigin({ manifest: null }, SPEC.model)).toThrow('no manifest of a dataset');
  });
});

describe('a bundle', () => {
  it('can be read back from its folder, and equal parts have equal versions', async () => {
    const body = await expectedSpendBundle();
    await writeBundleFolder(folder, body);
    expect(await readBundleFolder(folder)).toEqual(body);
    expect((await expectedSpendBundle()).manifest.version).toBe(body.manifest.version);
  });

  it('has another version with another fallback', async () => {
    const { body } = await makeBundle(mood, moodParts);
    const other = await makeBundle(mood, { ...moodParts, fallback: { label: 'low' } });
    expect(other.body.manifest).toMatchObject({ fallback: { label: 'low' } });
    expect(other.body.manifest.version).not.toBe(body.manifest.version);
  });

  it('takes the names of its columns from the options, else from the metadata, else from the declaration', async () => {
    expect((await makeBundle(mood, moodParts)).columnSource).toBe('declaration');
    const given = { input: ['purchases_30d', 'hour'] };
    expect((await makeBundle(mood, { ...moodParts, columns: given })).columnSource).toBe('given');
    const swapped = makeBundle(mood, { ...moodParts, columns: { input: ['hour', 'purchases_30d'] } });
    await expect(swapped).rejects.toThrow('number 1 is "hour" instead of "purchases_30d"');
    const described = graphBytes({
      inputs: [['input', 'FLOAT', ['batch', 2]]],
      outputs: [
        ['label', 'STRING', ['batch']],
        ['probabilities', 'FLOAT', ['batch', 3]],
      ],
      nodes: [],
      metadata: { columns: 'purchases_30d, minute' },
    });
    await expect(makeBundle(mood, { ...moodParts, onnx: described })).rejects.toThrow(
      'missing are hour; not declared are minute',
    );
  });

  it.each([
    ['other inputs', expectedSpend, moodParts, 'missing are features, count; not declared are input'],
    [
      'golden rows of another shape',
      mood,
      { ...moodParts, golden: { ...golden, inputs: { input: [[0]] } } },
      'has the shape [1,1]; the graph has [-1,2]',
    ],
    [
      'ragged golden rows',
      mood,
      { ...moodParts, golden: { ...golden, inputs: { input: [[0, 1], [2]] } } },
      'is not a regular nested array',
    ],
    [
      'no golden rows for an input',
      mood,
      { ...moodParts, golden: { ...golden, inputs: {} } },
      'have no input "input"',
    ],
  ])('is refused with %s', async (_, definition, parts, message) => {
    await expect(makeBundle(definition, parts)).rejects.toThrow(message);
  });

  it('of an undeclared model is refused with the names of the declared ones', () => {
    expect(modelNamed(catalog, 'mood')).toBe(mood);
    expect(() => modelNamed(catalog, 'oracle')).toThrow(
      'The catalog has no model "oracle". Its models: ranker, expected-spend, mood.',
    );
  });
});

describe('publishing', () => {
  const answering = async (answer: RequestListener, publish: (url: string) => Promise<unknown>) => {
    const server = createServer((request, response) => {
      request.resume().on('end', () => answer(request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      return await publish(`http://127.0.0.1:${port}`);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  };
  const problem =
    (status: number, code: string, more: object = {}): RequestListener =>
    (_, response) => {
      response.writeHead(status, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ status, code, detail: 'The reason.', ...more }));
    };

  it('reports a wrong key, bundle, model, address or folder', async () => {
    await writeBundleFolder(folder, await expectedSpendBundle());
    const to = (url: string) => publishFolder(folder, { url, key: 'k' }, 'expected-spend');
    await expect(answering(problem(401, 'unauthorized'), to)).rejects.toThrow('refuses this key');
    await expect(answering(problem(422, 'invalid_model', { pointer: '/golden' }), to)).rejects.toThrow(
      'refused the bundle with 422 invalid_model: The reason. (at /golden)',
    );
    await expect(answering((_, response) => response.writeHead(502).end('no'), to)).rejects.toThrow(
      'answered 502 without a problem document, so it may not be a Millrace worker: no',
    );
    await expect(to('http://127.0.0.1:9')).rejects.toThrow(
      /^No worker answers at http:\/\/127\.0\.0\.1:9: [^.:]+\. Start one with npm run dev/,
    );
    await expect(publishFolder(folder, { url: 'http://127.0.0.1:9', key: 'k' }, 'mood')).rejects.toThrow(
      'is for the model "expected-spend", not "mood"',
    );
    const empty = publishFolder(join(folder, 'none'), { url: 'http://127.0.0.1:9', key: 'k' });
    await expect(empty).rejects.toThrow('make one with npm run bundle');
    writeFileSync(join(folder, 'manifest.json'), '{}');
    await expect(to('http://127.0.0.1:9')).rejects.toThrow('(at /manifest/name)');
  });

  it('reports the name and the version', async () => {
    await writeBundleFolder(folder, await expectedSpendBundle());
    const answer: RequestListener = (_, response) => {
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ name: 'expected-spend', version: 'abc' }));
    };
    expect(await answering(answer, (url) => publishFolder(folder, { url, key: 'k' }))).toEqual({
      name: 'expected-spend',
      version: 'abc',
    });
  });
});
