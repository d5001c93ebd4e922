import { join } from 'node:path';
import type { Catalog } from '../../src/define/catalog.ts';
import type { Project } from '../../src/define/project.ts';
import { captureOtherWriters } from './database/capture.ts';
import { type DevDatabase, startDevDatabase } from './database.ts';
import { queryOf } from './query.ts';
import { fillDatabase, hasEvents, relayNewest, type SeedWishes, seedPlanOf } from './seed.ts';
import { unopened } from './state/damage.ts';
import { assertSameDatabase, readStateRecord, updateStateRecord } from './state/record.ts';

/** Opens the database of a state folder, migrated, and compares it with the one that the folder was made with. */
export async function openDatabase(
  stateDir: string,
  databaseUrl: string | undefined,
  { catalog, project }: { readonly catalog: Catalog; readonly project: Project },
): Promise<{ readonly database: DevDatabase; readonly isEmpty: boolean }> {
  const dataDir = join(stateDir, 'postgres');
  const { migrations: migrationsDir } = project;
  const opening = startDevDatabase(
    databaseUrl === undefined ? { migrationsDir, dataDir } : { migrationsDir, databaseUrl },
  );
  const database = await opening.catch((error: unknown) => {
    throw isPgliteFault(error) ? unopened(dataDir, error) : error;
  });
  try {
    const found = {
      postgres: databaseUrl === undefined ? await systemIdentifier(database) : undefined,
      hasEvents: await hasEvents(database),
    };
    assertSameDatabase(stateDir, readStateRecord(stateDir), found);
    updateStateRecord(stateDir, {
      hadEvents: found.hasEvents,
      ...(found.postgres === undefined ? {} : { postgres: found.postgres }),
    });
    await captureOtherWriters(catalog, database);
    return { database, isEmpty: !found.hasEvents };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Errors of PGlite itself: the WebAssembly module aborts, or the database in it does not start. */
function isPgliteFault(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'RuntimeError' || error.message.startsWith('PGlite failed'))
  );
}

async function systemIdentifier(database: DevDatabase): Promise<string> {
  const [row] = await queryOf(database)('select system_identifier::text as id from pg_control_system()');
  return String(row?.['id']);
}

/** What to do with a database that is empty, and with features that are new to one that is not. */
export interface Filling extends Omit<SeedWishes, 'wasLeftEmpty'> {
  readonly isEmpty: boolean;
  /** The features of the folder are new: they hold nothing of the database's events. */
  readonly areFeaturesNew: boolean;
  /** The last stack of the folder ended without draining its queues. */
  readonly wasCutOff: boolean;
}

/** Seeds an empty database as wished, or has the features fold what they lack. @returns whether there are events. */
export async function fillOrRelay(
  database: DevDatabase,
  stateDir: string,
  { catalog, project }: { readonly catalog: Catalog; readonly project: Project },
  filling: Filling,
  step: (text: string) => void,
): Promise<boolean> {
  const record = readStateRecord(stateDir);
  if (!filling.isEmpty) {
    if (filling.areFeaturesNew) {
      step('this database has no features yet: they are built from its whole history');
    } else if (filling.wasCutOff) {
      const changes = await relayNewest(database);
      step(
        `the last stack did not drain its queues: ${changes.toLocaleString('en-US')} changes are folded once more`,
      );
    }
    return true;
  }
  const plan = seedPlanOf(project.seed, { ...filling, wasLeftEmpty: record.seed === 'declined' });
  if (plan.kind === 'leave') {
    if (filling.empty) updateStateRecord(stateDir, { seed: 'declined' });
    step(`the database has no events: ${plan.reason}`);
    return false;
  }
  step('the database is empty and is being seeded with made-up data, which takes some seconds …');
  updateStateRecord(stateDir, { seed: 'filling' });
  const made = await fillDatabase(database, catalog, plan.seed);
  updateStateRecord(stateDir, { seed: 'made-up', hadEvents: true });
  step(`the empty database is seeded with ${made}`);
  return true;
}
