import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { READY } from '../../../scripts/dev/ready-block.ts';
import { eventually } from './stack.ts';

const ROOT = join(import.meta.dirname, '../../..');
const BIN = join(ROOT, 'node_modules/.bin');

/** A command of the repository in a process of its own. */
export interface CommandRun {
  readonly child: ChildProcess;
  /** What it has printed so far, on both streams. */
  output(): string;
  /** Settles with the exit code; null where a signal ended it. */
  readonly exited: Promise<number | null>;
}

/** Starts `node SCRIPT …` as npm does: in the root, with the repository's own commands in the path. */
export function command(script: string, ...args: string[]): CommandRun {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${BIN}:${process.env['PATH'] ?? ''}`, MILLRACE_KEY: '', DATABASE_URL: '' },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const exited = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null));
  return { child, output: () => text, exited };
}

/** Runs a command to its end. */
export async function outcome(
  script: string,
  ...args: string[]
): Promise<{ code: number | null; output: string }> {
  const run = command(script, ...args);
  return { code: await run.exited, output: run.output() };
}

/** Starts the development stack and waits until it is ready. */
export async function startDev(...args: string[]): Promise<CommandRun> {
  const run = command('scripts/dev.ts', ...args);
  let hasEnded = false;
  void run.exited.then(() => (hasEnded = true));
  await eventually(
    async () => run.output(),
    (text) => {
      if (hasEnded) throw new Error(`npm run dev ended:\n${text}`);
      // The block is the last that is printed, and ends with an empty line.
      return text.includes(READY) && text.endsWith('\n\n');
    },
    120_000,
  );
  return run;
}

/** A TCP port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return address.port;
}
