import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { type Target, type TargetOptions, targetOf, unreachable } from '../command-line/target.ts';
import { createReporter, type Reporter } from '../progress.ts';

/** Tries of one request while the server is unavailable or busy: about a minute. */
const TRIES_MAX = 20;
const RETRY_MS = 3_000;
/** A page of a replay has 2,000 events, and a rebuild may put all features in place in one step. */
const ANSWER_MS_MAX = 120_000;

const Problem = z.object({ code: z.string(), detail: z.string().optional() });

/** Requests to the worker, retried while it is unavailable or busy. */
export class Asking {
  readonly target: Target;
  readonly reporter: Reporter;
  #hasAnswered = false;

  constructor(target: Target, reporter: Reporter) {
    this.target = target;
    this.reporter = reporter;
  }

  /**
   * Sends a request and retries it until there is an answer. A request that the worker refuses as wrong is not retried.
   * Neither is a worker that has never answered, because the address may be wrong.
   */
  async ask(path: string, body?: unknown): Promise<unknown> {
    const { target, reporter } = this;
    for (let tries = 1; ; tries += 1) {
      const response = await this.#fetch(path, body).catch((error: unknown) => unreachable(target, error));
      if (!(response instanceof Error)) {
        this.#hasAnswered = true;
        if (response.ok) return await jsonOf(response, target);
      }
      const text = response instanceof Error ? response.message : await refusalOf(response, target);
      const isFinal = response instanceof Error ? !this.#hasAnswered : response.status < 500;
      if (isFinal || tries >= TRIES_MAX) throw new Error(text);
      reporter.notice(`${text} Trying again in ${RETRY_MS / 1_000} s (${tries} of ${TRIES_MAX}).`);
      await sleep(RETRY_MS);
    }
  }

  #fetch(path: string, body: unknown): Promise<Response> {
    return fetch(new URL(path, this.target.url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${this.target.key}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** The worker that the options name, or the one that runs now. */
export function askingOf(options: TargetOptions): Asking {
  return new Asking(targetOf(options), createReporter(process.stderr, Date.now));
}

async function jsonOf(response: Response, { url }: Target): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    throw new Error(
      `The server at ${url} is not a Millrace worker: its answer is not JSON. Name the worker with --url.`,
      {
        cause: error,
      },
    );
  }
}

async function refusalOf(response: Response, { url }: Target): Promise<string> {
  const { data: problem } = Problem.safeParse(await response.json().catch(() => null));
  if (problem?.code === 'unauthorized')
    return `The worker at ${url} refuses this key. Give the right one with --key or MILLRACE_KEY.`;
  if (problem !== undefined)
    return `The worker at ${url} answered ${response.status} ${problem.code}: ${problem.detail ?? ''}`;
  return `The server at ${url} is not a Millrace worker: it answered ${response.status}. Name the worker with --url.`;
}
