import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs a script of the project in a process of its own, on this terminal. Ctrl-C reaches that process by itself,
 * since both are in one process group; this one waits for it to end.
 *
 * @returns its exit code; 1 where a signal ended it.
 */
export async function runScript(script: string, args: readonly string[]): Promise<number> {
  const wait = () => undefined;
  process.on('SIGINT', wait);
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
  const [code]: unknown[] = await once(child, 'exit');
  process.off('SIGINT', wait);
  return typeof code === 'number' ? code : 1;
}
