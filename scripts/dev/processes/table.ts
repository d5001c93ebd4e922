/**
 * Processes of this machine, read from `/proc` on Linux, which needs no tool, and from `ps` and `lsof` elsewhere. What
 * cannot be found out is undefined: it serves messages, and the proof that a process is the one that was recorded.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A process by its id and the moment of its start: an id alone is given to another process later. */
export interface ProcessIdentity {
  readonly pid: number;
  /** As the operating system writes it; only compared. */
  readonly startedAt: string;
}

export interface ProcessInfo extends ProcessIdentity {
  readonly parent: number;
  readonly command: string;
}

const HAS_PROC = existsSync('/proc/self/stat');
/** `ps` and `lsof` answer at once or hang on a network disk. */
const TOOL_TIMEOUT_MS = 3_000;
/** The fields of /proc/PID/stat behind the name, by their place there: state, parent, group, …, start. */
const STAT_PARENT = 1;
const STAT_GROUP = 2;
const STAT_START = 19;
/** The state of a socket that listens, in /proc/net/tcp. */
const LISTEN = '0A';

export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    return HAS_PROC ? fromProc(pid) : fromPs(pid);
  } catch {
    return undefined;
  }
}

/** This process, as another one can recognise it. */
export function ownIdentity(): ProcessIdentity {
  return identityOf(process.pid);
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startedAt: processInfo(pid)?.startedAt ?? '' };
}

/** Whether the process that was recorded still runs, and not another one with its id. */
export function isStillRunning({ pid, startedAt }: ProcessIdentity): boolean {
  if (!isAlive(pid)) return false;
  const now = processInfo(pid)?.startedAt;
  return now === undefined || startedAt === '' || now === startedAt;
}

/** Whether a process has this id; with a negative one, whether the process group has a member. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The process that listens on a TCP port, if it can be found out: that of another user cannot. */
export function listenerOf(port: number): ProcessInfo | undefined {
  try {
    const pid = HAS_PROC ? listenerFromProc(port) : listenerFromLsof(port);
    return pid === undefined ? undefined : processInfo(pid);
  } catch {
    return undefined;
  }
}

/** The process and those that started it, itself first. */
export function withAncestors(info: ProcessInfo): ProcessInfo[] {
  const found = [info];
  for (let next = info.parent; next > 1 && found.length < 20; ) {
    const parent = processInfo(next);
    if (parent === undefined) break;
    found.push(parent);
    next = parent.parent;
  }
  return found;
}

/** The members of a process group; none where they cannot be found out. */
export function membersOf(group: number): ProcessInfo[] {
  try {
    const pids = HAS_PROC
      ? processesFromProc().filter((pid) => groupFromProc(pid) === group)
      : membersFromPs(group);
    return pids.map(processInfo).filter((info) => info !== undefined);
  } catch {
    return [];
  }
}

function processesFromProc(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function groupFromProc(pid: number): number | undefined {
  try {
    return Number(statOf(pid).fields[STAT_GROUP]);
  } catch {
    // The process has ended since it was listed.
    return undefined;
  }
}

function membersFromPs(group: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,pgid='], {
    encoding: 'utf8',
    timeout: TOOL_TIMEOUT_MS,
  });
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return rows.filter(([, pgid]) => pgid === group).map(([pid = 0]) => pid);
}

/** The name of a process, which is in parentheses and may hold spaces and parentheses itself, and the fields behind it. */
function statOf(pid: number): { name: string; fields: string[] } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const end = stat.lastIndexOf(')');
  return { name: stat.slice(stat.indexOf('(') + 1, end), fields: stat.slice(end + 2).split(' ') };
}

function fromProc(pid: number): ProcessInfo {
  const { name, fields } = statOf(pid);
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
  return {
    pid,
    startedAt: fields[STAT_START] ?? '',
    parent: Number(fields[STAT_PARENT]),
    command: command === '' ? name : command,
  };
}

function fromPs(pid: number): ProcessInfo {
  const field = (name: string) =>
    execFileSync('ps', ['-o', `${name}=`, '-p', String(pid)], {
      encoding: 'utf8',
      timeout: TOOL_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  return { pid, startedAt: field('lstart'), parent: Number(field('ppid')), command: field('command') };
}

function listenerFromProc(port: number): number | undefined {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listeningInodes(`/proc/net/${table}`, port)));
  if (inodes.size === 0) return undefined;
  return processesFromProc().find((pid) => holdsSocket(pid, inodes));
}

function listeningInodes(table: string, port: number): string[] {
  if (!existsSync(table)) return [];
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(table, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(suffix) && state === LISTEN)
    .map((fields) => `socket:[${fields[9] ?? ''}]`);
}

function holdsSocket(pid: number, inodes: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => {
      try {
        return inodes.has(readlinkSync(join(folder, fd)));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function listenerFromLsof(port: number): number | undefined {
  const output = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], {
    encoding: 'utf8',
    timeout: TOOL_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = Number(output.split('\n')[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
