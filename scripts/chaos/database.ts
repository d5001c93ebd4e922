import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import * as z from 'zod';
import { connect } from '../../src/storage/postgres/connect.ts';
import { FIXTURE } from '../../test/support/node/fixture.ts';
import { VERSION_GUARD } from '../verify/origin.ts';
import { type PostgresServer, postgresPrograms, startPostgresServer } from './postgres-server.ts';

/** The disk of the database: a file system in memory, large enough for the events of a run. */
const DISK_MIB = 384;

/** The database of a run, with the ways in which it fails. */
export interface ChaosDatabase {
  /** What it is, for the report. */
  readonly kind: string;
  readonly connectionString: string;
  readonly endpoint: string;
  readonly db: ReturnType<typeof connect>;
  /** Stops all its processes where they are. */
  pause(): void;
  resume(): void;
  /** The server that can be killed and started again; undefined for the embedded database, which ends with its endpoint. */
  readonly server: Pick<PostgresServer, 'kill' | 'start'> | undefined;
  /** Undefined where this process may not mount a file system. */
  readonly disk: Disk | undefined;
  close(): Promise<void>;
}

/** A file system that can be full. */
interface Disk {
  fill(): void;
  free(): void;
  freeBytes(): number;
}

const Started = z.object({ connectionString: z.string(), endpoint: z.string() });

/** @param folder of the run; the database's files are in it. */
export async function startChaosDatabase(
  folder: string,
  { isEmbedded }: { readonly isEmbedded: boolean },
): Promise<ChaosDatabase> {
  await using cleanup = new AsyncDisposableStack();
  const programs = isEmbedded ? undefined : postgresPrograms();
  const place = join(folder, 'database');
  mkdirSync(place, { recursive: true });
  const disk = programs === undefined ? undefined : mountDisk(place);
  if (disk !== undefined) cleanup.defer(() => disk.unmount());
  const server =
    programs === undefined ? undefined : await startPostgresServer(programs, join(place, 'server'));
  cleanup.defer(async () => await server?.close());
  const where = server === undefined ? {} : { databaseUrl: server.url };
  const endpoint = fork(
    new URL('./database-process.ts', import.meta.url),
    [JSON.stringify({ ...where, migrationsDir: FIXTURE.migrationsDir })],
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  cleanup.defer(() => endOf(endpoint));
  const [message]: unknown[] = await Promise.race([
    once(endpoint, 'message'),
    once(endpoint, 'exit').then(() => Promise.reject(new Error('The endpoint of the database has ended.'))),
  ]);
  const started = Started.parse(message);
  const db = connect({ url: started.connectionString, endpoint: started.endpoint });
  for (const statement of VERSION_GUARD) await db.execute(sql.raw(statement));
  const { pid } = endpoint;
  const stopped = (name: NodeJS.Signals) => () => {
    if (pid !== undefined) process.kill(pid, name);
  };
  const owned = cleanup.move();
  return {
    ...started,
    kind: server === undefined ? 'PGlite (embedded)' : `Postgres ${server.version}, a server of this run`,
    db,
    pause: server?.pause ?? stopped('SIGSTOP'),
    resume: server?.resume ?? stopped('SIGCONT'),
    server,
    disk,
    close: async () => {
      server?.resume();
      stopped('SIGCONT')();
      await owned.disposeAsync();
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
}

/** A file system of its own at a folder; undefined where the system refuses it. */
function mountDisk(folder: string): (Disk & { unmount(): void }) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'millrace-chaos', folder], {
      stdio: 'ignore',
    });
  } catch {
    return undefined;
  }
  let isMounted = true;
  const unmount = () => {
    if (isMounted) execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
    isMounted = false;
  };
  process.once('exit', unmount);
  const ballast = join(folder, 'ballast');
  return {
    fill: () => fillFile(ballast),
    free: () => rmSync(ballast, { force: true }),
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    },
    unmount,
  };
}

const MIB = 1_048_576;

/** Writes until the file system takes no more. */
function fillFile(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let bytes = MIB; bytes >= 512; ) {
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch {
        // The rest is smaller than this.
        bytes /= 2;
      }
    }
  } finally {
    closeSync(file);
  }
}
