import pg from 'pg';
import {
  leavesSessionState,
  SESSION_RESET,
  type SqlBackend,
  type Statement,
  type TextResult,
} from './backend.ts';
import { migratePostgres } from './migrations.ts';

/** Sessions held open. A development server's 100 must also suffice for tests and a psql. */
const CONNECTIONS_MAX = 20;

/** How long a request waits for a session: as long as a person waits for a page. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Opens a pool of sessions on a Postgres server, with the migrations applied. */
export async function openPostgres(databaseUrl: string, migrationsDir: string): Promise<SqlBackend> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // An 'error' event without a listener ends the process. The pool listens for idle sessions alone and passes
  // their errors on; a session that ends while it is lent fails its query and also emits the event itself.
  pool.on('error', () => {});
  pool.on('connect', (session) => {
    session.on('error', (error) => {
      if (!pool.ending) console.warn(`A database session ended: ${error.message}`);
    });
  });
  try {
    await migratePostgres(pool, migrationsDir);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return new PostgresBackend(pool);
}

class PostgresBackend implements SqlBackend {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  query(statement: Statement, check: (result: TextResult) => void): Promise<TextResult> {
    return this.#withSession(async (session) => {
      const result = await run(session, statement);
      if (leavesSessionState([result])) await resetSession(session);
      check(result);
      return result;
    });
  }

  batch(
    statements: readonly Statement[],
    modes: string,
    check: (result: TextResult) => void,
  ): Promise<TextResult[]> {
    return this.#withSession(async (session) => {
      await session.query(`BEGIN ${modes}`);
      const results: TextResult[] = [];
      for (const statement of statements) {
        const result = await run(session, statement);
        check(result);
        results.push(result);
      }
      await session.query('COMMIT');
      if (leavesSessionState(results)) await resetSession(session);
      return results;
    });
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  /** Lends a session to one request. After an error it is rolled back, or dropped when that fails as well. */
  async #withSession<T>(work: (session: pg.PoolClient) => Promise<T>): Promise<T> {
    const session = await this.#pool.connect();
    let broken = true;
    try {
      const result = await work(session);
      broken = false;
      return result;
    } catch (error) {
      broken = await resetSession(session).then(
        () => false,
        () => true,
      );
      throw error;
    } finally {
      session.release(broken);
    }
  }
}

async function resetSession(session: pg.PoolClient): Promise<void> {
  for (const command of SESSION_RESET) await session.query(command);
}

/**
 * `queryMode` asks for the extended protocol also without parameters: the simple one would take several
 * statements in one text, which Neon refuses. The type declarations of pg do not know the option yet.
 */
type TextQuery = pg.QueryArrayConfig & { readonly queryMode: 'extended' };

async function run(session: pg.PoolClient, statement: Statement): Promise<TextResult> {
  const query: TextQuery = {
    text: statement.text,
    values: [...statement.params],
    rowMode: 'array',
    queryMode: 'extended',
    types: { getTypeParser: () => (value: string) => value },
  };
  const { command, rowCount, fields, rows } = await session.query<(string | null)[]>(query);
  return {
    command: command ?? '',
    rowCount,
    fields: fields.map(({ name, dataTypeID }) => ({ name, dataTypeID })),
    rows,
  };
}
