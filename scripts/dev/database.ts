import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { SqlBackend } from './database/backend.ts';
import { SQL_PATH, sqlListener } from './database/listener.ts';
import { openPglite } from './database/pglite.ts';
import { openPostgres } from './database/postgres.ts';

/** Only this machine may connect. A name could resolve to something else. */
const HOST = '127.0.0.1';

/**
 * How long an idle connection stays open. A Worker keeps connections for reuse, and with Node's 5 s it would
 * often send a request just as the server closes one.
 */
const KEEP_ALIVE_MS = 120_000;

/** How long close() waits for requests under way before it cuts their connections. */
const CLOSE_GRACE_MS = 3_000;

/** A running development database. */
export interface DevDatabase {
  /** A Postgres connection string for `neon()`; its port is the endpoint's, its credentials are new per start. */
  readonly connectionString: string;
  /** The SQL-over-HTTP endpoint, e.g. http://127.0.0.1:54329/sql, for `neonConfig.fetchEndpoint`. */
  readonly endpoint: string;
  /** Waits for the requests under way, then closes the endpoint and the database. */
  close(): Promise<void>;
}

interface CommonOptions {
  /** The endpoint's port; 0 or undefined is any free one. */
  readonly port?: number;
  /** The folder of the catalog's migrations. They are applied after Millrace's own, before anything is served. */
  readonly migrationsDir: string;
}

/** Either an embedded database, kept in `dataDir` ('memory://' keeps nothing), or a Postgres at `databaseUrl`. */
type DevDatabaseOptions =
  | (CommonOptions & {
      readonly dataDir: string;
      /** The file of an empty database (`dumpDataDir` of PGlite) that a new one begins with. */
      readonly image?: string | undefined;
    })
  | (CommonOptions & { readonly databaseUrl: string });

/**
 * Starts the development stack's database behind an endpoint that `@neondatabase/serverless` can talk to. It
 * throws when the port is taken, the data directory in use, or a migration fails; nothing stays open then.
 */
export async function startDevDatabase(options: DevDatabaseOptions): Promise<DevDatabase> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS });
  const port = await listen(server, options.port ?? 0);
  const password = randomBytes(24).toString('hex');
  const connectionString = `postgresql://millrace:${password}@${HOST}:${port}/millrace`;
  const opening = openBackend(options);
  server.on('request', sqlListener(connectionString, opening));
  try {
    const backend = await opening;
    return {
      connectionString,
      endpoint: `http://${HOST}:${port}${SQL_PATH}`,
      close: async () => {
        await closeServer(server);
        await backend.close();
      },
    };
  } catch (error) {
    await closeServer(server);
    throw error;
  }
}

function openBackend(options: DevDatabaseOptions): Promise<SqlBackend> {
  return 'dataDir' in options
    ? openPglite(options.dataDir, options.migrationsDir, options.image)
    : openPostgres(options.databaseUrl, options.migrationsDir);
}

function listen(server: Server, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    const isTaken = error.code === 'EADDRINUSE';
    const message = `Port ${port} on ${HOST} is taken: stop the process that listens there or choose another port.`;
    reject(isTaken ? new Error(message, { cause: error }) : error);
  });
  server.listen(port, HOST, () => {
    const address = server.address();
    // A server that listens on a TCP port has an address object; the other forms belong to pipes.
    if (address === null || typeof address === 'string') reject(new Error('The endpoint has no port.'));
    else resolve(address.port);
  });
  return promise;
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // An error here says that the server is closed already.
  server.close(() => resolve());
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await promise;
  clearTimeout(cut);
}
