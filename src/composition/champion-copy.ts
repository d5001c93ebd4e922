import { championKey } from '../inference/names.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import { log } from '../platform/logger.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import type { Env } from './env.ts';

/**
 * Writes the copy of the champion's manifest that answers while the database does not. It never fails: nothing depends on
 * the copy, and an older revision does not replace a newer one.
 *
 * @param revision writes only if the alias still has this revision; absent for the one that it has now.
 */
export async function keepChampionCopy(
  env: Pick<Env, 'MODELS'>,
  read: RegistryPorts['champion'],
  model: string,
  revision?: number,
): Promise<void> {
  try {
    const champion = await read(model);
    if (champion === undefined || (revision !== undefined && champion.revision !== revision)) return;
    const bytes = Uint8Array.from(new TextEncoder().encode(champion.manifest ?? 'null'));
    await r2Artifacts(env.MODELS).putRevision(championKey(model), bytes, champion.revision);
  } catch (error) {
    const fields = { 'millrace.model.name': model };
    log('warn', 'The copy of the manifest in R2 could not be written.', fields, error);
  }
}
