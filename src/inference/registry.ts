import type { Candidates } from '../define/candidates.ts';
import type { ModelDefinition, RankingModel } from '../define/model.ts';
import { calling, Failure } from '../platform/failure.ts';
import { decodeJsonText } from '../platform/utf8.ts';
import { assertClassOrder, isAnswer } from './answer.ts';
import { assertDigest, assertSizes, type Bundle, type Golden, Manifest, versionOf } from './bundle.ts';
import { assertDeclared, assertGraph } from './declared.ts';
import { assertGoldenOutputs, goldenInputs } from './golden.ts';
import type { Session } from './graph.ts';
import { assertInBudget, type Measurement, type MeasurePorts, measure } from './measure.ts';
import { artifactKey, championKey } from './names.ts';
import { assertServable } from './onnx-file/refusals.ts';

/** The store of artifacts and manifests. */
export interface ArtifactStore {
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** What loading a version needs. */
export interface LoadPorts {
  readonly store: ArtifactStore;
  readonly loadGraph: (bytes: Uint8Array<ArrayBuffer>) => Promise<Session>;
  /** What becomes known of the two tiers; absent where nobody asks. */
  readonly tiers?: TierPorts;
}

/** What computes a graph. */
export type Tier = 'evaluator' | 'runtime';

export interface TierPorts {
  /** Whether the evaluator computes a run of the runtime, too, for a comparison. */
  readonly isSampled: () => boolean;
  readonly compared: (model: string, verdict: 'agrees' | 'differs') => void;
  readonly ran: (model: string, tier: Tier) => void;
}

export interface RegistryPorts extends LoadPorts {
  /**
   * What the alias `champion` of a model names in the database: a manifest as JSON text, null if the alias was cleared;
   * undefined if it has never named a version. `previous` is the manifest of the version to which a rollback would go,
   * null if there is none.
   */
  readonly champion: (model: string) => Promise<
    | {
        readonly manifest: string | null;
        readonly previous: string | null;
        readonly revision: number;
      }
    | undefined
  >;
  /** The rollout of a model that may be under way. */
  readonly rollout: (model: string) => Promise<StoredRollout | undefined>;
}

/** A rollout that is under way, as the database has it. `manifest` is JSON text. */
interface StoredRollout {
  readonly rollout: string;
  readonly stage: string;
  readonly share: number;
  readonly base: string;
  readonly manifest: string;
}

/**
 * Checks a version: digests, the declared inputs and outputs, candidates, golden outputs and speed. It keeps the artifacts
 * of the body, so that the version can be loaded once it is registered.
 *
 * @returns what the version took on its golden rows.
 * @throws Failure `invalid_model` with the field that is wrong; `over_budget`.
 */
export async function check(
  definition: ModelDefinition,
  bundle: Bundle,
  ports: LoadPorts & { readonly measuring: MeasurePorts },
): Promise<Measurement> {
  const { manifest, golden } = bundle;
  if (manifest.name !== definition.name)
    throw invalid(`The bundle is for "${manifest.name}".`, '/manifest/name');
  assertSizes(manifest);
  assertHasCandidates(definition, bundle);
  if ((await versionOf(manifest)) !== manifest.version)
    throw invalid(
      'The version does not follow from these artifacts; docs/models.md says how it is computed.',
      '/manifest/version',
    );
  assertFallback(definition, manifest);
  assertDeclared(definition, manifest);
  await keepCandidates(definition, bundle, ports.store);
  const model = await artifactOf('model', bundle, ports.store);
  assertServable(model);
  const loading = async () => {
    const graph = await ports.loadGraph(model);
    try {
      assertGraph(manifest, graph);
    } catch (error) {
      graph.release();
      throw error;
    }
    return graph;
  };
  const inputsOf = (graph: Session) => goldenInputs(golden, graph.inputs);
  const { session, outputs, measured, fastestMs } = await measure(
    loading,
    inputsOf,
    rowsOf(golden),
    ports.measuring,
  );
  try {
    assertGoldenOutputs(golden, session.outputs, outputs);
    if (definition.task === 'classification') assertClassOrder(definition, outputs);
    assertInBudget(measured, fastestMs);
  } finally {
    session.release();
  }
  if (bundle.model !== undefined) await ports.store.put(artifactKey(manifest.model.sha256), model);
  return measured;
}

/** The champion's manifest. */
export interface Champion {
  readonly manifest: Manifest;
  /**
   * False for the copy that is read while the database does not answer, and for one in a cache while the clock does not
   * answer: it may be of an earlier version.
   */
  readonly isCurrent: boolean;
  /** The version to which a rollback would go; null if there is none, or while the database does not answer. */
  readonly previous: Manifest | null;
  /** The version that may take over; absent without a rollout, and while the database does not answer. */
  readonly rollout?: ServedRollout;
}

/** The rollout of a version, as requests need it. */
export interface ServedRollout {
  readonly id: string;
  readonly isShadow: boolean;
  /** The percentage of the entities that the version answers for. */
  readonly share: number;
  readonly manifest: Manifest;
}

/**
 * The manifest of the champion, or `undefined` if no version has been published.
 *
 * @param hasRollouts whether the model declares how new versions take over; else none does.
 * @throws Failure `model_unavailable` if neither the database nor the store of artifacts answers, and as `parseManifest`
 *   does.
 */
export async function readChampion(
  name: string,
  ports: RegistryPorts,
  hasRollouts = false,
): Promise<Champion | undefined> {
  let isCurrent = true;
  try {
    const [found, rollout] = await Promise.all([
      ports.champion(name),
      hasRollouts ? ports.rollout(name) : undefined,
    ]);
    if (found?.manifest === null) return undefined;
    if (found !== undefined) {
      const manifest = parseManifest(name, jsonOf(found.manifest));
      const champion = { manifest, isCurrent, previous: previousOf(found.previous) };
      const served = servedRollout(manifest, rollout);
      return served === undefined ? champion : { ...champion, rollout: served };
    }
  } catch (error) {
    if (error instanceof Failure && error.code === 'model_unavailable') throw error;
    isCurrent = false;
  }
  // A version that was published before there was a registry is in the store alone.
  const read = () => ports.store.get(championKey(name));
  const bytes = await calling(read, 'model_unavailable', 'The store of the models does not answer.', 5);
  if (bytes === undefined) {
    if (isCurrent) return undefined;
    throw new Failure('model_unavailable', 'The registry of the models does not answer.', { retryAfterS: 5 });
  }
  const copy = manifestJson(bytes);
  // The copy of an alias that was cleared.
  return copy === null ? undefined : { manifest: parseManifest(name, copy), isCurrent, previous: null };
}

/** The rollout, unless another champion than the one that it compares with answers now. */
function servedRollout(champion: Manifest, stored: StoredRollout | undefined): ServedRollout | undefined {
  const manifest = stored === undefined ? null : previousOf(stored.manifest);
  if (stored === undefined || manifest === null || stored.base !== champion.version) return undefined;
  const { rollout: id, stage, share } = stored;
  return { id, isShadow: stage === 'shadow', share, manifest };
}

/** The manifest, unless it has the form of another release of Millrace: nothing depends on an earlier version. */
function previousOf(text: string | null): Manifest | null {
  return text === null ? null : (Manifest.safeParse(jsonOf(text)).data ?? null);
}

function rowsOf({ inputs }: Golden): number {
  return Math.max(...Object.values(inputs).map(({ length }) => length));
}

/** Undefined for a text that is not JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined for bytes that are not JSON in UTF-8, which no manifest is. */
function manifestJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeJsonText(bytes));
  } catch {
    return undefined;
  }
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
    const candidates = definition.parseCandidates(JSON.parse(decodeJsonText(bytes)));
    if (definition.diversity !== undefined && candidates.groupOf === undefined)
      throw new Error('The declaration has `diversity`, and its candidates have no `groupOf`.');
    return candidates;
  } catch (error) {
    throw new Failure('invalid_model', 'The candidates do not fit the declaration of the catalog.', {
      pointer: '/candidates',
      cause: error,
    });
  }
}

/**
 * An artifact of the body, or the uploaded one.
 *
 * @throws Failure `invalid_model` if it has not been uploaded, or has another digest or length than the manifest.
 */
async function artifactOf(
  what: 'model' | 'candidates',
  bundle: Bundle,
  store: ArtifactStore,
): Promise<Uint8Array<ArrayBuffer>> {
  const sha256 = bundle.manifest[what]?.sha256 ?? '';
  const read = () => store.get(artifactKey(sha256));
  const bytes =
    bundle[what] ?? (await calling(read, 'model_unavailable', 'The store of the models does not answer.', 5));
  if (bytes === undefined) {
    throw invalid(
      `The body has no ${what}, and no artifact ${sha256} has been uploaded. Upload it by PUT /v1/admin/artifacts/${sha256}.`,
      `/${what}`,
    );
  }
  await assertDigest(what, bytes, bundle.manifest);
  return bytes;
}

function assertHasCandidates(definition: ModelDefinition, { manifest, candidates }: Bundle): void {
  const hasCandidates = candidates !== undefined || manifest.candidates !== undefined;
  if (definition.task !== 'ranking' && hasCandidates) {
    throw invalid(
      `Only rankings have candidates; "${definition.name}" is a ${definition.task}.`,
      '/candidates',
    );
  }
  if (definition.task === 'ranking' && manifest.candidates === undefined)
    throw invalid('The bundle of a ranking must contain candidates.', '/candidates');
}

/** Checks the candidates of a ranking, and stores those of the body. */
async function keepCandidates(
  definition: ModelDefinition,
  bundle: Bundle,
  store: ArtifactStore,
): Promise<void> {
  if (definition.task !== 'ranking') return;
  const candidates = await artifactOf('candidates', bundle, store);
  parseCandidates(definition, candidates);
  const { sha256 } = bundle.manifest.candidates ?? { sha256: '' };
  if (bundle.candidates !== undefined) await store.put(artifactKey(sha256), candidates);
}

function assertFallback(definition: ModelDefinition, { fallback, segments }: Manifest): void {
  if (definition.task === 'ranking') {
    if (fallback !== undefined)
      throw invalid(
        'A ranking falls back on popularity, so its bundle cannot contain a fallback.',
        '/manifest/fallback',
      );
    return;
  }
  if (segments !== undefined) throw invalid('Only a ranking answers by segment.', '/manifest/segments');
  if (fallback === undefined && definition.fallback === 'shipped')
    throw invalid(
      'The catalog declares that each version contains a fallback; the bundle has none.',
      '/manifest/fallback',
    );
  if (fallback !== undefined && !isAnswer(definition, fallback))
    throw invalid('The fallback does not have the same outputs as the model.', '/manifest/fallback');
}

function invalid(detail: string, pointer: string): Failure {
  return new Failure('invalid_model', detail, { pointer });
}
