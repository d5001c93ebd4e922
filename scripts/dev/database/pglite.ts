import { mkdirSync, openAsBlob, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PGlite, type Results } from '@electric-sql/pglite';
import {
  leavesSessionState,
  SESSION_RESET,
  type SqlBackend,
  type Statement,
  type TextResult,
} from './backend.ts';
import { migratePglite } from './migrations.ts';
import { UPKEEP_PARAMS, Upkeep } from './upkeep.ts';

/** A database that is forgotten on close, as PGlite names it. */
const MEMORY_DIR = 'memory://';

/** A database that is forgotten holds little. To prepare the 128 MB that are the default takes a third of its start. */
const SMALL_PARAMS = ['-c', 'shared_buffers=4MB'];

type TextRow = (string | null)[];
type TextOptions = {
  rowMode: 'array';
  parsers: Record<number, (value: string) => string>;
  serializers: Record<number, (value: string) => string>;
};

/**
 * Opens the embedded database of `dataDir`, migrated. It stays closed to any other process meanwhile.
 *
 * @param image the file of an empty database that a new one begins with.
 */
export async function openPglite(
  dataDir: string,
  migrationsDir: string,
  image?: string,
): Promise<SqlBackend> {
  const unlock = dataDir === MEMORY_DIR ? () => {} : lockDataDir(resolve(dataDir));
  let db: PGlite | undefined;
  try {
    db = await PGlite.create(dataDir, {
      ...(image === undefined
        ? { startParams: [...PGlite.defaultStartParams, ...UPKEEP_PARAMS] }
        : {
            startParams: [...PGlite.defaultStartParams, ...UPKEEP_PARAMS, ...SMALL_PARAMS],
            loadDataDir: await openAsBlob(image),
          }),
    });
    await migratePglite(db, migrationsDir);
    return new PgliteBackend(db, await readTextOptions(db), unlock);
  } catch (error) {
    await db?.close();
    unlock();
    throw error;
  }
}

/**
 * Query options under which values stay Postgres text in both directions. PGlite decodes by type id, from a table
 * of its own where the options name no function, so the options name one for each type there is. A type created
 * later is in neither table, and PGlite leaves the text of such a value as it is.
 */
async function readTextOptions(db: PGlite): Promise<TextOptions> {
  const keepText = (value: string): string => value;
  const { rows } = await db.query<{ oid: number }>('select oid from pg_catalog.pg_type');
  const byType = Object.fromEntries(rows.map(({ oid }) => [oid, keepText]));
  return { rowMode: 'array', parsers: byType, serializers: byType };
}

class PgliteBackend implements SqlBackend {
  readonly #db: PGlite;
  readonly #options: TextOptions;
  readonly #unlock: () => void;
  readonly #upkeep = new Upkeep();
  /** Settles when the last request that was let in is done. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(db: PGlite, options: TextOptions, unlock: () => void) {
    this.#db = db;
    this.#options = options;
    this.#unlock = unlock;
  }

  query(statement: Statement, check: (result: TextResult) => void): Promise<TextResult> {
    return this.#request(async () => {
      const result = toTextResult(
        await this.#db.query<TextRow>(statement.text, [...statement.params], this.#options),
      );
      await this.#resetAfter([result]);
      check(result);
      return result;
    });
  }

  batch(
    statements: readonly Statement[],
    modes: string,
    check: (result: TextResult) => void,
  ): Promise<TextResult[]> {
    return this.#request(async () => {
      const results = await this.#db.transaction(async (tx) => {
        if (modes !== '') await tx.exec(`SET TRANSACTION ${modes}`);
        const done: TextResult[] = [];
        for (const { text, params } of statements) {
          const result = toTextResult(await tx.query<TextRow>(text, [...params], this.#options));
          check(result);
          done.push(result);
        }
        return done;
      });
      await this.#resetAfter(results);
      return results;
    });
  }

  async close(): Promise<void> {
    try {
      await this.#inTurn(() => this.#db.close());
    } finally {
      this.#unlock();
    }
  }

  /** The answer does not wait for upkeep; the next request does. */
  async #request<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#inTurn(work);
    } finally {
      if (this.#upkeep.isDue())
        this.#inTurn(() => this.#upkeep.look(this.#db)).catch((error: unknown) => {
          console.warn('The upkeep of the embedded database failed. It is tried again soon:', error);
        });
    }
  }

  /**
   * Lets requests in one after the other. PGlite has one session, and its own locks are released between a
   * statement and the reset that may have to follow it.
   */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #resetAfter(results: readonly TextResult[]): Promise<void> {
    if (!leavesSessionState(results)) return;
    for (const command of SESSION_RESET) await this.#db.exec(command);
  }
}

function toTextResult(result: Results<TextRow>): TextResult {
  return {
    command: result.command ?? '',
    rowCount: result.rowCount ?? null,
    fields: result.fields,
    rows: result.rows,
  };
}

/**
 * Claims a data directory for this process and gives the function that releases it. PGlite does not look whether
 * another process has the same files open, and two of them destroy the database.
 */
function lockDataDir(dataDir: string): () => void {
  const path = `${dataDir}.lock`;
  mkdirSync(dirname(dataDir), { recursive: true });
  for (let attempt = 0; ; attempt += 1) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    const owner = Number.parseInt(readFileSync(path, 'utf8'), 10);
    if (attempt > 0 || isRunning(owner)) {
      throw new Error(
        `${dataDir} is in use by process ${owner}. If that is no Millrace stack, delete ${path}.`,
      );
    }
    // The owner ended without releasing the lock, for instance by SIGKILL.
    rmSync(path, { force: true });
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
