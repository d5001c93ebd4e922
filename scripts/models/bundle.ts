import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { columnNames, type ModelDefinition } from '../../src/define/model.ts';
import {
  assertSizes,
  type Bundle,
  Golden,
  INLINE_BYTES_MAX,
  Manifest,
  parseBundle,
  versionOf,
} from '../../src/inference/bundle.ts';
import { assertDeclared } from '../../src/inference/declared.ts';
import { goldenInputs } from '../../src/inference/golden.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { Failure } from '../../src/platform/failure.ts';
import { UsageError } from '../command-line/options.ts';
import { type GraphSignature, readGraphSignature } from './graph-signature.ts';

/** The files of a bundle's folder. */
const MANIFEST = 'manifest.json';
const MODEL = 'model.onnx';
const GOLDEN = 'golden.json';
const CANDIDATES = 'candidates.json';
/** The model card, which may be missing. */
const CARD = 'card.md';

/** The body that publishes a model, with its artifacts in base64. */
export type BundleBody = ReturnType<typeof bodyOf>;

/** What a bundle is made of. */
export interface BundleParts {
  readonly onnx: Uint8Array<ArrayBuffer>;
  /** As `golden.json` has it. */
  readonly golden: unknown;
  readonly candidates?: Uint8Array<ArrayBuffer> | undefined;
  /** By input, the names of the columns in the order in which the graph takes them. */
  readonly columns?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly fallback?: Readonly<Record<string, unknown>> | undefined;
  readonly metrics?: Readonly<Record<string, unknown>> | undefined;
  readonly trainedFrom?: Readonly<Record<string, unknown>> | undefined;
}

/** Where the names of the columns came from. */
export type ColumnSource = 'given' | 'metadata' | 'declaration';

/**
 * Makes the bundle of a model that was made elsewhere. Inputs and outputs are read from the graph itself and compared
 * with the declaration, so that a model that does not fit is refused before it is sent.
 *
 * The columns' names are those that are given, else those in the file's `metadata_props` (`columns`, or
 * `columns.<input>`, separated by commas), else the declared ones.
 *
 * @throws Failure `invalid_model`, or Error for a file that is no ONNX model.
 */
export async function makeBundle(
  definition: ModelDefinition,
  parts: BundleParts,
): Promise<{ body: BundleBody; columnSource: ColumnSource }> {
  const graph = readGraphSignature(parts.onnx);
  const { columns, source } = columnsOf(definition, graph, parts.columns);
  const golden = Golden.parse(parts.golden);
  const model = { sha256: await sha256Hex(parts.onnx), bytes: parts.onnx.length };
  const { candidates, fallback, metrics = {}, trainedFrom = {} } = parts;
  const identity = {
    model,
    ...(candidates === undefined
      ? {}
      : { candidates: { sha256: await sha256Hex(candidates), bytes: candidates.length } }),
    ...(fallback === undefined ? {} : { fallback: { ...fallback } }),
  };
  const manifest = Manifest.parse({
    name: definition.name,
    version: await versionOf(identity),
    ...identity,
    inputs: graph.inputs.map((input) => {
      const names = columns[input.name];
      return names === undefined ? input : { ...input, columns: names };
    }),
    outputs: graph.outputs,
    metrics,
    baseline: {},
    trainedFrom,
  });
  assertDeclared(definition, manifest);
  goldenInputs(golden, manifest.inputs);
  const body = bodyOf({ manifest, golden, model: parts.onnx, candidates });
  assertBundle(body);
  return { body, columnSource: source };
}

function columnsOf(
  definition: ModelDefinition,
  { inputs, metadata }: GraphSignature,
  given: BundleParts['columns'],
): { columns: Readonly<Record<string, readonly string[]>>; source: ColumnSource } {
  const only = inputs[0]?.name ?? '';
  if (given !== undefined) return { columns: given, source: 'given' };
  const described = inputs.flatMap(({ name }) => {
    const text = metadata[`columns.${name}`] ?? (inputs.length === 1 ? metadata['columns'] : undefined);
    return text === undefined ? [] : [[name, text.split(',').map((column) => column.trim())] as const];
  });
  if (described.length > 0) return { columns: Object.fromEntries(described), source: 'metadata' };
  return {
    columns: definition.task === 'ranking' ? { [only]: definition.columns } : columnNames(definition),
    source: 'declaration',
  };
}

/** Writes a bundle's folder, which is made if need be. */
export async function writeBundleFolder(folder: string, body: BundleBody): Promise<void> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, MODEL), Buffer.from(body.model, 'base64'));
  await writeFile(join(folder, GOLDEN), json(body.golden));
  if (body.candidates !== undefined)
    await writeFile(join(folder, CANDIDATES), Buffer.from(body.candidates, 'base64'));
  // Last, so that a folder with a manifest is whole.
  await writeFile(join(folder, MANIFEST), json(body.manifest));
}

/**
 * Writes the folder of a version that was trained here, with its card.
 *
 * @public Examples call it.
 */
export async function writeTrained(
  { manifest, golden, model, candidates, card = '' }: Bundle,
  folder: string,
): Promise<void> {
  if (model === undefined) throw new Error('The bundle has no model.');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, CARD), card);
  await writeBundleFolder(folder, bodyOf({ manifest, golden, model, candidates }));
}

/**
 * Reads a bundle's folder.
 *
 * @throws UsageError for a folder that is no bundle: a file is missing, is not JSON, or has another form.
 * @throws Failure `invalid_model` for a bundle that is too large.
 */
export async function readBundleFolder(folder: string): Promise<BundleBody> {
  const file = async (name: string) => {
    try {
      return Uint8Array.from(await readFile(join(folder, name)));
    } catch (error) {
      throw noBundle(folder, `${name} cannot be read`, error);
    }
  };
  const json = async (name: string): Promise<unknown> => {
    const bytes = await file(name);
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      throw noBundle(folder, `${name} is not JSON`, error);
    }
  };
  const manifest = await json(MANIFEST);
  const hasCandidates = typeof manifest === 'object' && manifest !== null && 'candidates' in manifest;
  const body = {
    manifest,
    golden: await json(GOLDEN),
    model: Buffer.from(await file(MODEL)).toString('base64'),
    ...(hasCandidates ? { candidates: Buffer.from(await file(CANDIDATES)).toString('base64') } : {}),
    ...(existsSync(join(folder, CARD)) ? { card: new TextDecoder().decode(await file(CARD)) } : {}),
  };
  assertSizes(bundleIn(folder, body).manifest);
  // The registry is sent what the files say, fields that this release does not know included.
  return body as BundleBody;
}

/** @throws UsageError for files that are no bundle. */
function bundleIn(folder: string, body: unknown): Bundle {
  try {
    return parseBundle(sentBundle(body as BundleBody).body);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw noBundle(folder, `${error.message.replace(/\.$/, '')} (at ${error.pointer ?? '/'})`, error);
  }
}

/** The folder is an argument of the command, so a wrong one is a wrong call. */
function noBundle(folder: string, wrong: string, cause: unknown): UsageError {
  const message = `${folder} is not the folder of a bundle: ${wrong}. A bundle has ${MANIFEST}, ${MODEL} and ${GOLDEN}; make one with npm run bundle.`;
  return new UsageError(message.replaceAll(/\s+/g, ' '), { cause });
}

/** A bundle as the registry takes it: large artifacts are uploaded before the body is sent. */
export interface SentBundle {
  readonly body: Omit<BundleBody, 'model' | 'candidates'> & Partial<Pick<BundleBody, 'model' | 'candidates'>>;
  readonly uploads: readonly { readonly sha256: string; readonly bytes: Uint8Array<ArrayBuffer> }[];
}

export function sentBundle(bundle: BundleBody): SentBundle {
  const { model, candidates, ...rest } = bundle;
  const artifacts = { model, ...(candidates === undefined ? {} : { candidates }) };
  const isLarge = (base64: string) => Buffer.byteLength(base64, 'base64') > INLINE_BYTES_MAX;
  const inline = Object.entries(artifacts).filter(([, base64]) => !isLarge(base64));
  const large = Object.entries(artifacts).filter(([, base64]) => isLarge(base64));
  return {
    body: { ...rest, ...Object.fromEntries(inline) },
    uploads: large.map(([what, base64]) => ({
      sha256: bundle.manifest[what === 'model' ? 'model' : 'candidates']?.sha256 ?? '',
      bytes: Uint8Array.from(Buffer.from(base64, 'base64')),
    })),
  };
}

/** @throws Failure `invalid_model` with what is wrong. */
function assertBundle(bundle: unknown): void {
  const { manifest } = parseBundle(sentBundle(bundle as BundleBody).body);
  assertSizes(manifest);
}

function bodyOf({
  manifest,
  golden,
  model,
  candidates,
}: {
  manifest: Manifest;
  golden: Golden;
  model: Uint8Array;
  candidates: Uint8Array | undefined;
}) {
  return {
    manifest,
    golden,
    model: Buffer.from(model).toString('base64'),
    ...(candidates === undefined ? {} : { candidates: Buffer.from(candidates).toString('base64') }),
  } satisfies typeof Bundle._zod.input;
}
