import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf, isAlive, type ProcessIdentity } from './table.ts';

const SUPERVISOR = join(import.meta.dirname, 'supervisor.ts');
/** How long a group may take to end by SIGTERM before it is killed. */
const END_MS_MAX = 5_000;
/** How long the operating system may take to remove a killed group. */
const KILLED_MS_MAX = 2_000;
const POLL_MS = 25;

/** A command that runs in a process group of its own, and never outlives this process. */
export interface OwnedProcess {
  readonly child: ChildProcess;
  /** The leader of its group. */
  readonly leader: ProcessIdentity;
  /** Settles with its exit code when it has ended; 1 where a signal ended it. */
  readonly exited: Promise<number>;
  /** Ends the whole group; returns once it is gone. */
  end(): Promise<void>;
}

const groups = new Set<number>();
// The last resort: `process.exit()` and an uncaught exception run no other code of this process. A SIGKILL runs none at
// all; then the supervisor ends the group.
process.on('exit', killOwned);

/** Kills everything that this process started and that still runs, at once. */
export function killOwned(): void {
  for (const group of groups) signalGroup(group, 'SIGKILL');
}

/** @param output `inherit` shows what the command prints; `pipe` leaves it to the caller. */
export function spawnOwned(
  command: string,
  args: readonly string[],
  { env, output }: { readonly env: NodeJS.ProcessEnv; readonly output: 'inherit' | 'pipe' },
): OwnedProcess {
  const child = spawn(process.execPath, [SUPERVISOR, command, ...args], {
    detached: true,
    stdio: ['pipe', output, output],
    env,
  });
  const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  const group = child.pid;
  if (group !== undefined) groups.add(group);
  child.once('exit', (code) => {
    // The command ended by itself; what it started has to end with it.
    if (group !== undefined) {
      signalGroup(group, 'SIGKILL');
      groups.delete(group);
    }
    resolve(code ?? 1);
  });
  return {
    child,
    leader: identityOf(group ?? 0),
    exited,
    end: async () => {
      if (group !== undefined) await endGroup(group);
      await exited;
    },
  };
}

/** Ends a process group: by SIGTERM, and by SIGKILL what that does not end in time. */
export async function endGroup(group: number): Promise<void> {
  signalGroup(group, 'SIGTERM');
  if (await isGone(group, END_MS_MAX)) return;
  signalGroup(group, 'SIGKILL');
  await isGone(group, KILLED_MS_MAX);
}

async function isGone(group: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(-group)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group has ended in the meantime.
  }
}
