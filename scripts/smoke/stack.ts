import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import type { Query } from '../../src/define/project.ts';
import { queryOf } from '../dev/query.ts';
import { READY } from '../dev/ready-block.ts';

/** A development stack in a process of its own. */
export interface Started {
  readonly process: ChildProcess;
  readonly seconds: number;
  readonly url: string;
  readonly key: string;
}

/** @throws Error with the output where the stack is not ready in time, or warns of something. */
export async function startDev(
  { stateDir, port }: { readonly stateDir: string; readonly port: number },
  secondsMax: number,
): Promise<Started> {
  const startedAt = performance.now();
  const elapsedS = () => (performance.now() - startedAt) / 1_000;
  const child = spawn('node', ['scripts/dev.ts', '--state', stateDir, '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  while (!output.includes(READY)) {
    if (child.exitCode !== null) throw new Error(`npm run dev ended:\n${output}`);
    if (elapsedS() > secondsMax) return await failed(child, `Not ready within ${secondsMax} s:\n${output}`);
    await sleep(100);
  }
  const seconds = elapsedS();
  // The block is printed by one write, which may arrive in pieces.
  await sleep(100);
  const [, url] = /API\s+(\S+)/.exec(output) ?? [];
  const [, key] = /Key\s+(\S+)/.exec(output) ?? [];
  if (url === undefined || key === undefined)
    return await failed(child, `The ready block lacks an address or a key:\n${output}`);
  if (!isQuiet(output)) return await failed(child, `The start was not quiet:\n${output}`);
  return { process: child, seconds, url, key };
}

/** Ends the stack. @throws Error always */
async function failed(child: ChildProcess, message: string): Promise<never> {
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await exited;
  throw new Error(message);
}

/** Whether nothing warns but of a deadline that has passed, as on a machine that does much else. */
function isQuiet(output: string): boolean {
  return !output
    .split('\n')
    .some((line) => /warn|error/i.test(line) && !/did not (answer|name) .*within \d+ ms/.test(line));
}

/** @returns whether nothing answers at its address any more. */
export async function stopDev({ process: child, url }: Started): Promise<boolean> {
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await exited;
  await sleep(500);
  return (await fetch(`${url}/health/live`).catch(() => undefined)) === undefined;
}

/** Statements on the database of a running stack, by the addresses that it keeps in its state folder. */
export function queryOfState(stateDir: string): Query {
  const vars = parseEnv(readFileSync(join(stateDir, 'worker.env'), 'utf8'));
  const { DATABASE_URL: connectionString, DATABASE_ENDPOINT: endpoint } = vars;
  if (connectionString === undefined) throw new Error(`${stateDir}/worker.env names no database.`);
  return queryOf({ connectionString, endpoint });
}
