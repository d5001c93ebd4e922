/**
 * `node supervisor.ts COMMAND [arguments]`: runs a command whose life is tied to that of the process that started this
 * one. It notices that process's end by its standard input, a pipe that the operating system closes then, also after
 * SIGKILL, which no handler sees. Then it ends its process group, to which everything below it belongs.
 */
import { spawn } from 'node:child_process';

/** How long the group may take to end by SIGTERM. */
const END_MS_MAX = 3_000;
const NOT_FOUND = 127;

const [command = '', ...args] = process.argv.slice(2);
let isOrphan = false;

function signalGroup(signal: NodeJS.Signals): void {
  // The group of the supervisor has the supervisor's id: it is started as the leader of a new one.
  process.kill(-process.pid, signal);
}

// A signal for the group reaches the command by itself. The supervisor ends after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
child.once('error', (error) => {
  console.error(`${command} could not be started: ${error.message}`);
  process.exit(NOT_FOUND);
});
child.once('exit', (code) => {
  // What the command started may be still there.
  if (isOrphan) signalGroup('SIGKILL');
  process.exit(code ?? 1);
});

process.stdin.resume();
process.stdin.once('close', () => {
  isOrphan = true;
  signalGroup('SIGTERM');
  setTimeout(() => signalGroup('SIGKILL'), END_MS_MAX);
});
