import type { Manifest } from './bundle.ts';
import { artifactKey } from './names.ts';

/** What is asked of the registry and of the store of artifacts. */
export interface LostPorts {
  /** The champion of a model and the version to which a rollback would go; undefined without a champion. */
  readonly champion: (
    model: string,
  ) => Promise<{ readonly manifest: Manifest; readonly previous: Manifest | null } | undefined>;
  /** The bytes of an artifact; undefined if it is not there. @throws Error if the store does not answer. */
  readonly bytesOf: (key: string) => Promise<number | undefined>;
  /** Lets the alias name another version, unless it has changed meanwhile. @returns whether it did. */
  readonly moveBack: (model: string, from: string, to: string) => Promise<boolean>;
}

/** What became of a champion. */
export type LostVerdict = 'there' | 'moved' | 'no_other' | 'changed';

/**
 * Lets the alias `champion` name the version before, if an artifact of the champion is lost or has another length. Until then
 * each isolate that has not loaded the champion answers with the version before, or with the fallback, marked `degraded`.
 */
export async function replaceIfLost(model: string, ports: LostPorts): Promise<LostVerdict> {
  const found = await ports.champion(model);
  if (found === undefined || (await isThere(found.manifest, ports))) return 'there';
  const { manifest, previous } = found;
  if (previous === null || !(await isThere(previous, ports))) return 'no_other';
  return (await ports.moveBack(model, manifest.version, previous.version)) ? 'moved' : 'changed';
}

async function isThere({ model, candidates }: Manifest, { bytesOf }: LostPorts): Promise<boolean> {
  for (const artifact of [model, candidates])
    if (artifact !== undefined && (await bytesOf(artifactKey(artifact.sha256))) !== artifact.bytes)
      return false;
  return true;
}
