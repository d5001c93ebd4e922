import type { ModelDefinition } from '../define/model.ts';
import { Failure } from '../platform/failure.ts';
import { assertDigest, type Bundle, Manifest } from './bundle.ts';
import type { Graph } from './onnx-runtime.ts';

/** Where artifacts and manifests are kept. */
export interface ArtifactStore {
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface RegistryPorts {
  readonly store: ArtifactStore;
  readonly loadGraph: (bytes: Uint8Array<ArrayBuffer>) => Promise<Graph>;
}

/** What an answer made with a model depends on: another version under the name makes it void. */
export function modelTag(name: string): string {
  return `model:${name}`;
}

/** R2 keys: artifacts by content, and the manifest of the version that answers. */
export function artifactKey(sha256: string): string {
  return `artifacts/${sha256}`;
}

function championKey(name: string): string {
  return `models/${name}/champion.json`;
}

/**
 * Makes a model the one that answers, after it has shown that it is whole: digests, columns, candidates and
 * golden outputs. The manifest is written last, so that a version is complete or not there.
 *
 * @throws Failure `invalid_model` with the field that is wrong.
 */
export async function publish(
  definition: ModelDefinition,
  bundle: Bundle,
  ports: RegistryPorts,
): Promise<void> {
  const { manifest } = bundle;
  if (manifest.name !== definition.name) {
    throw new Failure('invalid_model', `The bundle is for "${manifest.name}".`, {
      pointer: '/manifest/name',
    });
  }
  if (manifest.columns.join('\n') !== definition.columns.join('\n')) {
    throw new Failure('invalid_model', 'The columns are not those that the catalog declares.', {
      pointer: '/manifest/columns',
    });
  }
  await assertDigest('model', bundle.model, manifest);
  await assertDigest('candidates', bundle.candidates, manifest);
  parseCandidates(definition, bundle.candidates);
  await assertGolden(bundle, await ports.loadGraph(bundle.model));

  await ports.store.put(artifactKey(manifest.model.sha256), bundle.model);
  await ports.store.put(artifactKey(manifest.candidates.sha256), bundle.candidates);
  await ports.store.put(
    championKey(manifest.name),
    Uint8Array.from(new TextEncoder().encode(JSON.stringify(manifest))),
  );
}

/** The manifest of the version that answers, or `undefined` where none has been published. */
export async function readChampion(name: string, store: ArtifactStore): Promise<Manifest | undefined> {
  const bytes = await store.get(championKey(name));
  return bytes === undefined ? undefined : Manifest.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

/** @throws Failure `invalid_model` where the artifact is not what the catalog's model takes. */
export function parseCandidates(
  definition: ModelDefinition,
  bytes: Uint8Array,
): ReturnType<ModelDefinition['parseCandidates']> {
  try {
    return definition.parseCandidates(
      JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)),
    );
  } catch (error) {
    throw new Failure('invalid_model', 'The candidates are not what the catalog declares.', {
      pointer: '/candidates',
      cause: error,
    });
  }
}

async function assertGolden({ manifest, golden }: Bundle, graph: Graph): Promise<void> {
  const width = manifest.columns.length;
  if (graph.input.shape.length !== 2 || graph.input.shape[1] !== width) {
    throw new Failure('invalid_model', `The graph takes [${graph.input.shape}], not [-1,${width}].`, {
      pointer: '/model',
    });
  }
  const inputs = golden.inputs[graph.input.name];
  const expected = golden.outputs[graph.output.name];
  if (inputs === undefined || expected === undefined || inputs.some((row) => row.length !== width)) {
    throw new Failure('invalid_model', 'The golden rows are not of the shape of the graph.', {
      pointer: '/golden',
    });
  }
  const { data } = await graph.run({ shape: [inputs.length, width], data: Float32Array.from(inputs.flat()) });
  const reproduced =
    data.length === expected.length &&
    expected.every((value, index) => Math.abs(value - (data[index] ?? Number.NaN)) <= golden.tolerance);
  if (!reproduced) {
    throw new Failure('invalid_model', 'The runtime does not reproduce the golden outputs.', {
      pointer: '/golden/outputs',
    });
  }
}
