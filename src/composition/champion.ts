import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { RegistryPorts } from '../inference/registry.ts';
import { systemTime } from '../platform/clock.ts';
import { guarded } from '../storage/postgres/connect.ts';
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
      guarded(() => readAliased(db, model, 'champion')),
      CHAMPION_MS,
      () => new Error(`The database did not name the champion of ${model} within ${CHAMPION_MS} ms.`),
    );
}
