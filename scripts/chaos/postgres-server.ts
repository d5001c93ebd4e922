import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import * as z from 'zod';
import { executable } from '../../test/support/node/executable.ts';

/** Where distributions of Linux keep the programs of each version of the server. */
const VERSIONS = '/usr/lib/postgresql';
const START_TIMEOUT_MS = 60_000;
const USER = 'millrace';
/** The server refuses to run as root; it then runs as the first of these users that there is. */
const UNPRIVILEGED = ['postgres', 'nobody'];
/** A small log that is written again soon, so that a small disk is enough. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '40',
  shared_buffers: '32MB',
  min_wal_size: '32MB',
  max_wal_size: '64MB',
};

/** A Postgres server of this run alone, whose processes an experiment may stop and kill. */
export interface PostgresServer {
  readonly version: string;
  readonly url: string;
  /** Stops every process where it is; their connections stay open and get no answer. */
  pause(): void;
  resume(): void;
  /** Ends every process at once, as a power failure does. */
  kill(): Promise<void>;
  /** Returns once the server answers; does nothing if it does. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The folder of the server's programs; undefined where the machine has none. */
export function postgresPrograms(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const newest = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(VERSIONS, version, 'bin'));
  const inPath = executable('initdb')?.replace(/\/initdb$/, '');
  return [...newest, inPath].find((folder) => folder !== undefined && existsSync(join(folder, 'initdb')));
}

/** @param folder an empty or absent folder for its data. */
export async function startPostgresServer(programs: string, folder: string): Promise<PostgresServer> {
  const owner = process.getuid?.() === 0 ? unprivilegedUser() : undefined;
  mkdirSync(folder, { recursive: true });
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  const as = { ...owner, cwd: folder, stdio: 'ignore' as const };
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync'],
    as,
  );
  const port = await freePort();
  const args = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const launch = () => spawn(join(programs, 'postgres'), ['-D', data, '-p', String(port), ...args], as);
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres`;
  let server = launch();
  const isRunning = () => server.exitCode === null && server.signalCode === null;
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processesOf(server.pid)) signalOne(pid, name);
  };
  const start = async () => {
    for (const deadline = performance.now() + START_TIMEOUT_MS; ; await sleep(50)) {
      if (!isRunning()) server = launch();
      if (await answers(url)) return;
      if (performance.now() > deadline) throw new Error('The Postgres server of this run does not start.');
    }
  };
  const kill = async () => {
    if (!isRunning()) return;
    const exited = once(server, 'exit');
    signal('SIGKILL');
    await exited;
  };
  // However this process ends, no server stays behind.
  process.once('exit', () => signal('SIGKILL'));
  try {
    await start();
    return {
      version: await versionOf(url),
      url,
      pause: () => signal('SIGSTOP'),
      resume: () => signal('SIGCONT'),
      kill,
      start,
      close: kill,
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

function unprivilegedUser(): { readonly uid: number; readonly gid: number } {
  for (const user of UNPRIVILEGED)
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: 'pipe' }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The machine has no such user.
    }
  throw new Error(`A Postgres server needs a user other than root: one of ${UNPRIVILEGED.join(', ')}.`);
}

/** The server's first process before those that it has started: a new one would not be stopped. */
function processesOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
    return [pid, ...children.trim().split('\n').map(Number)];
  } catch {
    // pgrep ends with 1 where it finds none.
    return [pid];
  }
}

function signalOne(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended in the meantime.
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}

async function answers(url: string): Promise<boolean> {
  return await withClient(url, async () => true).catch(() => false);
}

async function versionOf(url: string): Promise<string> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query('show server_version');
    return z.object({ server_version: z.string() }).parse(rows[0]).server_version;
  });
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // An error of a connection that is not in use has no other listener, and would end this process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
