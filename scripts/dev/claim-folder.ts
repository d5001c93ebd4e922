import { claimState } from './claim.ts';
import { ensureKey } from './key.ts';
import { assertPortFree, endAbandoned } from './port.ts';
import { assertWhole } from './state/damage.ts';
import { deleteData, envFileOf, makeStateFolder, unusable } from './state/folder.ts';
import { lockState, type StateLock } from './state/lock.ts';
import { readStateRecord } from './state/record.ts';

interface FolderOptions {
  readonly stateDir: string;
  readonly isFresh: boolean;
  readonly isEmptyWished: boolean;
  readonly databaseUrl: string | undefined;
  readonly migrations: string;
  /** The id of this start. */
  readonly instance: string;
  /** Where the worker is going to answer. */
  readonly url: string;
  /** The ports that this start is going to listen on. */
  readonly ports: readonly number[];
  readonly step: (text: string) => void;
}

/** A state folder that is whole, belongs to this database and catalog, and is used by this process alone. */
export interface ClaimedFolder extends AsyncDisposable {
  readonly stateDir: string;
  readonly instance: string;
  readonly url: string;
  readonly lock: StateLock;
  readonly key: string;
  readonly apiKeySha256: string;
  /** It holds no features: they have to be made from the database. */
  readonly areFeaturesNew: boolean;
  /** An earlier stack ended without draining its queues. */
  readonly wasCutOff: boolean;
}

/**
 * Claims a state folder. The order matters: the lock comes before anything is deleted, what an earlier start left behind
 * ends before the ports are looked at, and the ports are free before anything is started.
 *
 * @throws Error of one line: the folder is in use, cannot be used, belongs to others or is damaged, or a port is taken.
 */
export async function claimStateFolder(options: FolderOptions): Promise<ClaimedFolder> {
  const { stateDir, databaseUrl, migrations, instance, url, ports, step } = options;
  makeStateFolder(stateDir);
  const lock = lockOf(stateDir, { instance, url });
  // Also for an end that runs no other code of this process.
  process.once('exit', lock.release);
  try {
    if (lock.abandoned !== undefined) {
      const ended = await endAbandoned(lock.abandoned, envFileOf(stateDir));
      if (ended !== undefined) step(ended);
    }
    for (const port of ports) await assertPortFree(port, '--port');
    if (options.isFresh) deleteData(stateDir);
    const areFeaturesNew = assertWhole(stateDir, { isEmbedded: databaseUrl === undefined });
    const record = readStateRecord(stateDir);
    if (options.isEmptyWished && record.seed === 'made-up')
      throw new Error(
        `--empty: the database of ${stateDir}/ holds made-up data already. Delete it with --fresh --empty, or name another folder with --state.`,
      );
    claimState(stateDir, { databaseUrl, migrations });
    const { key, sha256 } = ensureKey(stateDir);
    return {
      stateDir,
      instance,
      url,
      lock,
      key,
      apiKeySha256: sha256,
      areFeaturesNew,
      wasCutOff: lock.abandoned !== undefined || record.isUndrained,
      [Symbol.asyncDispose]: async () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function lockOf(stateDir: string, claim: { instance: string; url: string }): StateLock {
  try {
    return lockState(stateDir, claim);
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      throw new Error(unusable(stateDir, error), { cause: error });
    throw error;
  }
}
