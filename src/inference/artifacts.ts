import type { ModelDefinition } from '../define/model.ts';
import { ArtifactLost } from './broken.ts';
import { assertDigest, type Manifest } from './bundle.ts';
import { artifactKey } from './names.ts';
import { type LoadPorts, parseCandidates } from './registry.ts';

/** The artifacts of a version from the store. @throws ArtifactLost, Failure `invalid_model` for another digest */
export async function readArtifacts(definition: ModelDefinition, manifest: Manifest, ports: LoadPorts) {
  const artifact = async (what: 'model' | 'candidates', { sha256 }: { readonly sha256: string }) => {
    const bytes = await ports.store.get(artifactKey(sha256));
    if (bytes === undefined) throw new ArtifactLost(`the store has no artifact ${sha256}`);
    await assertDigest(what, bytes, manifest);
    return bytes;
  };
  const [model, candidates] = await Promise.all([
    artifact('model', manifest.model),
    manifest.candidates === undefined ? undefined : artifact('candidates', manifest.candidates),
  ]);
  const isRanking = definition.task === 'ranking' && candidates !== undefined;
  return {
    model,
    candidates: isRanking ? parseCandidates(definition, candidates) : undefined,
    candidatesBytes: candidates?.length ?? 0,
  };
}
