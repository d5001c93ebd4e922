import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { sha256 } from './digest.ts';
import { ContinuityError } from './failure.ts';
import { rowsOf } from './files.ts';
import { damaged, type Manifest, type StoreOfBackup } from './manifest.ts';

/** The artifacts of models, by the SHA-256 that is their name in the store. */
const FOLDER = 'artifacts';

const ModelManifest = z.object({
  model: z.object({ sha256: z.string() }),
  candidates: z.object({ sha256: z.string() }).optional(),
});

/**
 * Fetches the artifacts that the versions of the exported tables name. What is there already is not fetched again.
 *
 * @param fetchOne undefined for an artifact that the store does not have.
 * @throws ContinuityError `backup_incomplete` if an artifact is missing that retention has not removed.
 */
export async function exportArtifacts(
  folder: string,
  stores: readonly StoreOfBackup[],
  fetchOne: (sha256: string) => Promise<Uint8Array | undefined>,
): Promise<Manifest['artifacts']> {
  const named = await namedArtifacts(folder, stores);
  const removed = new Set(await column(folder, stores, 'millrace.removals', 'id'));
  const artifacts: { sha256: string; bytes: number }[] = [];
  if (named.length > 0) mkdirSync(join(folder, FOLDER), { recursive: true, mode: 0o700 });
  for (const name of named) {
    const file = join(folder, FOLDER, name);
    const bytes = existsSync(file) ? readFileSync(file) : await fetchOne(name);
    if (bytes === undefined && removed.has(name)) continue;
    if (bytes === undefined || sha256(bytes) !== name)
      throw new ContinuityError(
        'backup_incomplete',
        `The store has no artifact ${name}, which a version of a model needs. Publish that version again, or retire it.`,
      );
    if (!existsSync(file)) {
      writeFileSync(`${file}.draft`, bytes, { mode: 0o600 });
      renameSync(`${file}.draft`, file);
    }
    artifacts.push({ sha256: name, bytes: bytes.byteLength });
  }
  return artifacts;
}

async function namedArtifacts(folder: string, stores: readonly StoreOfBackup[]): Promise<string[]> {
  const names = new Set<string>();
  for (const text of await column(folder, stores, 'millrace.model_versions', 'manifest')) {
    const { model, candidates } = ModelManifest.parse(JSON.parse(text));
    names.add(model.sha256);
    if (candidates !== undefined) names.add(candidates.sha256);
  }
  return [...names].sort();
}

/** The texts of a column of an exported table. */
async function column(
  folder: string,
  stores: readonly StoreOfBackup[],
  name: string,
  of: string,
): Promise<string[]> {
  const store = stores.find((one) => one.name === name);
  if (store === undefined) return [];
  const index = store.columns.findIndex((one) => one.name === of);
  const texts: string[] = [];
  for await (const row of rowsOf(join(folder, store.file)))
    texts.push(String((JSON.parse(row) as unknown[])[index]));
  return texts;
}

/** The bytes of an artifact. @throws ContinuityError `backup_damaged` if they are not whole. */
export function artifactOf(
  folder: string,
  { sha256: name, bytes }: Manifest['artifacts'][number],
): Uint8Array {
  const file = join(folder, FOLDER, name);
  const found = existsSync(file) ? readFileSync(file) : undefined;
  if (found?.byteLength === bytes && sha256(found) === name) return found;
  throw damaged(`${FOLDER}/${name}`, found === undefined ? 'it is missing' : 'its SHA-256 is not its name');
}
