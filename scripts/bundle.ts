/** `npm run bundle -- MODEL --onnx FILE --golden FILE`: makes a bundle of a model that was trained elsewhere. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readOptions, UsageError } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { STATE_DIR } from './command-line/target.ts';
import { type BundleParts, makeBundle, writeBundleFolder } from './models/bundle.ts';
import { datasetOrigin } from './models/dataset-origin.ts';
import { readGraphSignature } from './models/graph-signature.ts';
import { modelNamed } from './models/named.ts';
import { loadCatalog } from './project/catalog.ts';

const USAGE = `npm run bundle -- MODEL --onnx FILE --golden FILE [options]

Makes a bundle of MODEL: reads the inputs and outputs of the graph, compares them with the catalog's declaration, and
writes a folder that npm run publish takes. docs/models.md describes it.

  --onnx FILE        the model
  --golden FILE      rows of inputs with the graph's outputs for them: {"inputs", "outputs", "tolerance"}
  --columns LIST     names of the columns, in the order in which the graph takes them: a,b,c for a graph of one input,
                     or a file with {"input": ["a", "b"]}; by default the names in the ONNX file's metadata
                     ("columns"), else those of the declaration, in its order
  --candidates FILE  the candidates of a ranking
  --fallback JSON    the fallback of this version, e.g. '{"value": 3.5}'
  --metrics FILE     figures of the evaluation, as JSON
  --dataset FOLDER   the dataset that it was trained on, as npm run cli -- datasets pull wrote it
  --out DIR          the folder (${STATE_DIR}/models/MODEL)`;

const Columns = z.record(z.string(), z.array(z.string()));
const Figures = z.record(z.string(), z.unknown());

await runCommand(async () => {
  const { values, positionals } = readOptions({
    command: 'npm run bundle',
    positionalsMax: 1,
    options: {
      onnx: { type: 'string' },
      golden: { type: 'string' },
      columns: { type: 'string' },
      candidates: { type: 'string' },
      fallback: { type: 'string' },
      metrics: { type: 'string' },
      dataset: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const definition = modelNamed(await loadCatalog(), positionals[0]);
  if (values.onnx === undefined || values.golden === undefined)
    throw new UsageError(`Give --onnx and --golden.\n\n${USAGE}`);
  const onnx = await bytesOf(values.onnx);
  const parts: BundleParts = {
    onnx,
    golden: await jsonOf(values.golden),
    columns: values.columns === undefined ? undefined : await columnsOf(values.columns, onnx),
    candidates: values.candidates === undefined ? undefined : await bytesOf(values.candidates),
    fallback:
      values.fallback === undefined ? undefined : Figures.parse(parsed('--fallback', values.fallback)),
    metrics: values.metrics === undefined ? undefined : Figures.parse(await jsonOf(values.metrics)),
    trainedFrom:
      values.dataset === undefined
        ? undefined
        : datasetOrigin(await jsonOf(join(values.dataset, 'manifest.json')), definition.name),
  };
  const { body, columnSource } = await makeBundle(definition, parts);
  const folder = values.out ?? join(STATE_DIR, 'models', definition.name);
  await writeBundleFolder(folder, body);
  if (columnSource === 'declaration')
    console.warn(
      'The file does not name its columns, so they were taken in the order of the declaration. Check that the model was trained in this order, or give --columns.',
    );
  console.log(`Wrote version ${body.manifest.version} to ${folder}.`);
  console.log(`Publish it with: npm run publish -- ${definition.name} ${folder}`);
});

async function bytesOf(file: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return Uint8Array.from(await readFile(file));
  } catch (error) {
    throw new Error(`${file} cannot be read.`, { cause: error });
  }
}

async function jsonOf(file: string): Promise<unknown> {
  return parsed(file, new TextDecoder().decode(await bytesOf(file)));
}

function parsed(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

async function columnsOf(list: string, onnx: Uint8Array): Promise<Record<string, string[]>> {
  if (list.endsWith('.json')) return Columns.parse(await jsonOf(list));
  const [input, ...others] = readGraphSignature(onnx).inputs;
  if (input === undefined || others.length > 0)
    throw new Error(
      'The graph has several inputs: give --columns a JSON file with the names for each of them.',
    );
  return { [input.name]: list.split(',').map((name) => name.trim()) };
}
