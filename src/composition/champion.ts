import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { previousVersion } from '../inference/alias-history.ts';
import type { RegistryPorts } from '../inference/registry.ts';
import { systemTime } from '../platform/clock.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { readServedRollout } from '../storage/postgres/model-rollouts.ts';
import { readAliased } from '../storage/postgres/model-versions.ts';

/**
 * How long a request waits for the database to say which version answers, in milliseconds. Then the copy in R2 answers,
 * so that a prediction does not wait for a database that hangs.
 */
const CHAMPION_MS = 600;

/** Reads what the alias `champion` names. */
export function championIn(db: NeonHttpDatabase): RegistryPorts['champion'] {
  return (model) =>
    systemTime.withTimeout(
      guarded(async () => {
        const aliased = await readAliased(db, model, 'champion');
        if (aliased === undefined) return undefined;
        const { manifest, revision, changes } = aliased;
        const version = previousVersion(changes);
        const previous = changes.findLast((change) => change.version === version && change.manifest !== null);
        return { manifest, revision, previous: previous?.manifest ?? null };
      }),
      CHAMPION_MS,
      () => new Error(`The database did not name the champion of ${model} within ${CHAMPION_MS} ms.`),
    );
}

/** Reads the rollout of a model. */
export function rolloutIn(db: NeonHttpDatabase): RegistryPorts['rollout'] {
  return (model) =>
    systemTime.withTimeout(
      guarded(() => readServedRollout(db, model)),
      CHAMPION_MS,
      () => new Error(`The database did not tell the rollout of ${model} within ${CHAMPION_MS} ms.`),
    );
}
