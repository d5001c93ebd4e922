import { once } from 'node:events';
import { createServer } from 'node:net';
import * as z from 'zod';
import { endGroup } from './processes/owned.ts';
import {
  isAlive,
  isStillRunning,
  listenerOf,
  membersOf,
  type ProcessInfo,
  processInfo,
  withAncestors,
} from './processes/table.ts';
import type { Running } from './state/lock.ts';

/** Only this machine may connect. */
export const HOST = '127.0.0.1';
/** A worker on this machine answers within milliseconds; a program that takes a connection and is silent is another. */
const ANSWER_MS_MAX = 2_000;
/** Characters of a command line that are shown. */
const COMMAND_CHARACTERS_MAX = 80;

const Live = z.object({ status: z.literal('ok'), instance: z.string().optional() });

/** What answers at an address: a worker with its instance id, a Millrace without one, another program, or nothing. */
export type Answerer =
  | { readonly kind: 'instance'; readonly instance: string }
  | { readonly kind: 'millrace' }
  | { readonly kind: 'other' }
  | { readonly kind: 'nobody' };

export async function whoAnswers(url: string): Promise<Answerer> {
  let text: string;
  try {
    const response = await fetch(`${url}/health/live`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    text = await response.text();
  } catch (error) {
    const isRefused = error instanceof Error && /ECONNREFUSED/.test(String(error.cause));
    return { kind: isRefused ? 'nobody' : 'other' };
  }
  const live = liveOf(text);
  if (live === undefined) return { kind: 'other' };
  return live.instance === undefined ? { kind: 'millrace' } : { kind: 'instance', instance: live.instance };
}

function liveOf(text: string): z.output<typeof Live> | undefined {
  try {
    return Live.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** @throws Error that says what holds the port and how to end it. */
export async function assertPortFree(port: number, option: string): Promise<void> {
  const code = await listenOnce(port);
  if (code === undefined) return;
  if (code === 'EACCES')
    throw new Error(`Port ${port} may not be used by this user. Choose one above 1023 with ${option}.`);
  if (code !== 'EADDRINUSE')
    throw new Error(`Port ${port} cannot be used (${code}). Choose another with ${option}.`);
  throw new Error(describeHolder(port, await whoAnswers(`http://${HOST}:${port}`), listenerOf(port), option));
}

/** What holds a port, in one line, and how to end it. */
export function describeHolder(
  port: number,
  answerer: Answerer,
  holder: ProcessInfo | undefined,
  option: string,
): string {
  const another = `or choose another port with ${option}`;
  const isMillrace = answerer.kind === 'instance' || answerer.kind === 'millrace';
  const what = isMillrace ? 'another Millrace stack' : 'another program';
  if (holder === undefined)
    return `Port ${port} is taken by ${what}. End it (\`lsof -i :${port}\` may name it), ${another}.`;
  const dev = withAncestors(holder).find(({ command }) => /\bscripts\/dev\.ts\b/.test(command));
  const shown = dev ?? holder;
  const how =
    dev === undefined
      ? `End it with \`kill ${shown.pid}\``
      : `End it with Ctrl-C in its terminal or with \`kill ${dev.pid}\``;
  const silent = answerer.kind === 'other' ? ', which answers no health check' : '';
  return `Port ${port} is taken by ${what}: process ${shown.pid} (${shorten(shown.command)})${silent}. ${how}, ${another}.`;
}

/**
 * Ends the worker of a start that was killed. Proof that it is ours, each enough: the record in our state folder names the
 * leader of its process group, which still runs since the recorded moment; a member of that group was started with the
 * file of variables in our folder, which holds for a worker that hangs, too; or what answers at the recorded address has
 * the recorded instance id.
 *
 * @param envFile - the absolute path of that file.
 * @returns what was ended, for the terminal; undefined where nothing was left.
 */
export async function endAbandoned(
  { worker, url, instance }: Running,
  envFile: string,
): Promise<string | undefined> {
  if (worker === undefined || !isAlive(-worker.pid)) return undefined;
  const isOurs =
    (processInfo(worker.pid) !== undefined && isStillRunning(worker)) ||
    membersOf(worker.pid).some(({ command }) => command.includes(envFile)) ||
    (await hasInstance(url, instance));
  if (!isOurs) return undefined;
  await endGroup(worker.pid);
  return `ended the worker of an earlier start, which was left behind (process group ${worker.pid}, ${url})`;
}

async function hasInstance(url: string, instance: string): Promise<boolean> {
  const answerer = await whoAnswers(url);
  return answerer.kind === 'instance' && answerer.instance === instance;
}

function shorten(command: string): string {
  return command.length > COMMAND_CHARACTERS_MAX ? `${command.slice(0, COMMAND_CHARACTERS_MAX)}…` : command;
}

/** @returns the error's code where the port cannot be listened on. */
async function listenOnce(port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, HOST);
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    server.close();
  }
}
