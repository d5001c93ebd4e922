import type { Candidates, ModelDefinition, RankingModel } from '../define/model.ts';
import { calling, Failure } from '../platform/failure.ts';
import { assertClassOrder, isAnswer } from './answer.ts';
import { assertDigest, type Bundle, type Golden, Manifest, versionOf } from './bundle.ts';
import { assertDeclared, assertGraph } from './declared.ts';
import { assertGoldenOutputs, goldenInputs } from './golden.ts';
import type { Session } from './graph.ts';
import type { Tensors } from './tensors.ts';

/** The store of artifacts and manifests. */
export interface ArtifactStore {
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface RegistryPorts {
  readonly store: ArtifactStore;
  readonly loadGraph: (bytes: Uint8Array<ArrayBuffer>) => Promise<Session>;
}

/** The tag of every answer that a model made. Publishing another version under the name invalidates those answers. */
export function modelTag(name: string): string {
  return `model:${name}`;
}

/** R2 keys: artifacts by content, and the manifest of the champion. */
export function artifactKey(sha256: string): string {
  return `artifacts/${sha256}`;
}

function championKey(name: string): string {
  return `models/${name}/champion.json`;
}

/**
 * Makes a version the champion after its checks pass: digests, the declared inputs and outputs, candidates and golden
 * outputs. It writes the manifest last, so that a version is never incomplete.
 *
 * @throws Failure `invalid_model` with the field that is wrong.
 */
export async function publish(
  definition: ModelDefinition,
  bundle: Bundle,
  ports: RegistryPorts,
): Promise<void> {
  const { manifest, golden, model, candidates } = bundle;
  if (manifest.name !== definition.name)
    throw invalid(`The bundle is for "${manifest.name}".`, '/manifest/name');
  await assertDigest('model', model, manifest);
  await assertCandidates(definition, bundle);
  if ((await versionOf(manifest)) !== manifest.version)
    throw invalid(
      'The version does not follow from these artifacts; docs/models.md says how it is computed.',
      '/manifest/version',
    );
  assertFallback(definition, manifest);
  assertDeclared(definition, manifest);
  const graph = await ports.loadGraph(model);
  try {
    assertGraph(manifest, graph);
    assertGolden(definition, golden, graph);
  } finally {
    graph.release();
  }

  await ports.store.put(artifactKey(manifest.model.sha256), model);
  if (manifest.candidates !== undefined && candidates !== undefined)
    await ports.store.put(artifactKey(manifest.candidates.sha256), candidates);
  await ports.store.put(
    championKey(manifest.name),
    Uint8Array.from(new TextEncoder().encode(JSON.stringify(manifest))),
  );
}

/**
 * The manifest of the champion, or `undefined` if no version has been published.
 *
 * @throws Failure `model_unavailable` if the store does not answer, and as `parseManifest` does.
 */
export async function readChampion(name: string, store: ArtifactStore): Promise<Manifest | undefined> {
  const read = () => store.get(championKey(name));
  const bytes = await calling(read, 'model_unavailable', 'The store of the models does not answer.', 5);
  return bytes === undefined ? undefined : parseManifest(name, JSON.parse(new TextDecoder().decode(bytes)));
}

/** @throws Failure `model_unavailable` if the manifest has the form of another release of Millrace. */
export function parseManifest(name: string, json: unknown): Manifest {
  const parsed = Manifest.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Failure(
    'model_unavailable',
    `The manifest of "${name}" cannot be read. Publish the model again.`,
    {
      retryAfterS: 60,
      cause: parsed.error,
    },
  );
}

/** The failure of a model that has no version. */
export function unpublished(name: string): Failure {
  return new Failure('model_unavailable', `No version of "${name}" has been published yet.`, {
    retryAfterS: 60,
  });
}

/** @throws Failure `invalid_model` if the artifact does not have the form that the catalog's model takes. */
export function parseCandidates(definition: RankingModel, bytes: Uint8Array): Candidates {
  try {
    return definition.parseCandidates(
      JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)),
    );
  } catch (error) {
    throw new Failure('invalid_model', 'The candidates do not fit the declaration of the catalog.', {
      pointer: '/candidates',
      cause: error,
    });
  }
}

async function assertCandidates(
  definition: ModelDefinition,
  { manifest, candidates }: Bundle,
): Promise<void> {
  if (definition.task !== 'ranking') {
    if (candidates === undefined && manifest.candidates === undefined) return;
    throw invalid(
      `Only rankings have candidates; "${definition.name}" is a ${definition.task}.`,
      '/candidates',
    );
  }
  if (candidates === undefined)
    throw invalid('The bundle of a ranking must contain candidates.', '/candidates');
  await assertDigest('candidates', candidates, manifest);
  parseCandidates(definition, candidates);
}

function assertFallback(definition: ModelDefinition, { fallback }: Manifest): void {
  if (definition.task === 'ranking') {
    if (fallback !== undefined)
      throw invalid(
        'A ranking falls back on popularity, so its bundle cannot contain a fallback.',
        '/manifest/fallback',
      );
    return;
  }
  if (fallback === undefined && definition.fallback === 'shipped')
    throw invalid(
      'The catalog declares that each version contains a fallback; the bundle has none.',
      '/manifest/fallback',
    );
  if (fallback !== undefined && !isAnswer(definition, fallback))
    throw invalid('The fallback does not have the same outputs as the model.', '/manifest/fallback');
}

function assertGolden(definition: ModelDefinition, golden: Golden, graph: Session): void {
  const inputs = goldenInputs(golden, graph.inputs);
  let outputs: Tensors;
  try {
    outputs = graph.run(inputs);
  } catch (error) {
    throw new Failure('invalid_model', 'The runtime cannot run the graph on the golden inputs.', {
      pointer: '/golden/inputs',
      cause: error,
    });
  }
  assertGoldenOutputs(golden, graph.outputs, outputs);
  if (definition.task === 'classification') assertClassOrder(definition, outputs);
}

function invalid(detail: string, pointer: string): Failure {
  return new Failure('invalid_model', detail, { pointer });
}
