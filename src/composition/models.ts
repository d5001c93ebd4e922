import type { ModelRegistryPorts } from '../gateway/models/registry-ports.ts';
import { previousVersion } from '../inference/alias-history.ts';
import { modelTag } from '../inference/names.ts';
import { check } from '../inference/registry.ts';
import { sleep, systemNow } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { guarded } from '../storage/postgres/connect.ts';
import {
  changeAlias,
  listAliasChanges,
  listAliases,
  listVersions,
  REMOVAL_RETRY_S,
  readAliasHistory,
  readVersion,
  registerVersion,
  retireVersion,
} from '../storage/postgres/model-versions.ts';
import { releaseArtifacts } from '../storage/postgres/removals.ts';
import { keepChampionCopy } from './champion-copy.ts';
import type { BoundIsolate } from './isolate.ts';
import { wakeRollout } from './rollouts.ts';
import { announce } from './writing.ts';

/** A timer lets the clock of the platform advance. */
const measuring = { now: systemNow, pause: () => sleep(0) };

/** The ports of the registry's routes. A change of an alias is committed, then invalidated, then answered. */
export function modelRegistryPorts(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): ModelRegistryPorts {
  const { db, env, registry } = bound;
  return {
    check: async (definition, bundle) => {
      await prepareUpload(db, [
        ...(bundle.model === undefined ? [] : [bundle.manifest.model.sha256]),
        ...(bundle.candidates === undefined ? [] : [bundle.manifest.candidates?.sha256 ?? '']),
      ]);
      return await check(definition, bundle, { ...registry, measuring });
    },
    register: (version, principal) => guarded(() => registerVersion(db, version, principal)),
    point: async (target, principal, registered) => {
      const { model, alias } = target;
      // Only the champion answers, so no cached answer depends on the other aliases.
      const tags = [alias === 'champion' ? modelTag(model) : `${modelTag(model)}:${alias}`];
      const commit = async () => {
        const changed = await changeAlias(db, target, { principal, tags }, registered);
        if (changed === null) throw new NotChanged();
        return changed;
      };
      try {
        const { token, revision } = await announce(bound, keepAlive, commit);
        if (alias === 'champion') keepAlive(keepChampionCopy(env, registry.champion, model, revision));
        if (isRolling(bound, model)) keepAlive(wakeRollout(env, model));
        return { token, revision };
      } catch (error) {
        if (error instanceof NotChanged) return undefined;
        throw error;
      }
    },
    retire: (version, principal) => guarded(() => retireVersion(db, version, principal)),
    previous: async (model, alias) => {
      const changes = await guarded(() => readAliasHistory(db, model, alias));
      return { current: changes.at(-1)?.version ?? null, previous: previousVersion(changes) };
    },
    version: (model, version) => guarded(() => readVersion(db, model, version)),
    versions: (model, limit) => guarded(() => listVersions(db, model, limit)),
    history: (model, limit) => guarded(() => listAliasChanges(db, model, limit)),
    aliases: () => guarded(() => listAliases(db)),
  };
}

/**
 * Has to come before bytes of artifacts are stored: retention may be deleting the same artifacts.
 *
 * @throws Failure `model_unavailable` while it is, `database_unavailable`
 */
export async function prepareUpload(db: BoundIsolate['db'], ids: readonly string[]): Promise<void> {
  if (ids.length === 0 || (await guarded(() => releaseArtifacts(db, ids)))) return;
  const detail = 'Retention is deleting an artifact with this content. Send the request again.';
  throw new Failure('model_unavailable', detail, { retryAfterS: REMOVAL_RETRY_S });
}

/** The database did not change the alias. */
class NotChanged extends Error {}

/** Whether a change of an alias may begin or end a rollout of the model. */
function isRolling({ isolate }: BoundIsolate, model: string): boolean {
  return isolate.catalog.models.some(({ name, rollout }) => name === model && rollout !== undefined);
}
