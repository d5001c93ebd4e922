import { mood } from '../catalog/models.ts';
import { expectedSpendBundle, moodBundle } from '../models/outside.ts';
import { FIXTURE } from './fixture.ts';
import { eventually, KEY, type Stack, startStack } from './stack.ts';

export type Trouble = 'hang' | 'late' | 'fail';

/** A stack whose peers hang, answer late or fail on command. */
export async function startTroubledStack(vars: Readonly<Record<string, string>>): Promise<Stack> {
  return await startStack(vars, { served: { ...FIXTURE, main: 'test/support/worker/troubled.ts' } });
}

export interface Answered {
  readonly status: number;
  readonly afterMs: number;
  /** The code of a problem, or what `Cache-Status` says of the answer. */
  readonly detail: string;
}

/** A client of a troubled stack. */
export class Client {
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  async trouble(troubles: Readonly<Record<string, Trouble>>): Promise<void> {
    await this.#stack.fetch('/test/troubles', { method: 'PUT', body: JSON.stringify(troubles) });
  }

  async send(isolate: string, method: string, path: string, body?: unknown, headers = {}): Promise<Response> {
    return await this.#stack.fetch(path, {
      method,
      headers: {
        isolate,
        authorization: `Bearer ${KEY}`,
        'content-type': 'application/json',
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async timed(...asked: Parameters<Client['send']>): Promise<Answered> {
    const begun = performance.now();
    const response = await this.send(...asked);
    const afterMs = Math.round(performance.now() - begun);
    const isStream = response.headers.get('content-type') === 'text/event-stream';
    if (isStream) {
      await response.body?.cancel();
      return { status: response.status, afterMs, detail: 'stream' };
    }
    const text = await response.text();
    const code = /"code":"(\w+)"/.exec(text)?.[1];
    const degraded = /"degraded":"(\w+)"/.exec(text)?.[1];
    const cache = /; (.*)/.exec(response.headers.get('cache-status') ?? '')?.[1];
    return { status: response.status, afterMs, detail: code ?? degraded ?? cache ?? '' };
  }

  async publish(): Promise<void> {
    const bundles = { mood: await moodBundle(), 'expected-spend': await expectedSpendBundle() };
    for (const [name, bundle] of Object.entries(bundles)) {
      const published = await this.send('main', 'PUT', `/v1/admin/models/${name}/champion`, bundle);
      if (published.status !== 201) throw new Error(await published.text());
    }
  }
}

export { eventually, mood };
