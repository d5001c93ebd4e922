import { Hono } from 'hono';
import { systemNow } from '../platform/clock.ts';
import type { Asked } from './cached-routes.ts';
import type { AppEnv, ReadContext } from './context.ts';
import type { CountRequest, RouteLabels } from './counted-requests.ts';
import { endTrace, type TraceRequest } from './traced-requests.ts';

/** The most addresses that an isolate keeps, and the longest of them: with their inputs, some megabytes at most. */
const ADDRESSES_MAX = 8_192;
const ADDRESS_CHARACTERS_MAX = 512;

/**
 * Answers a read: admits its reader and everything after that. It calls `ask` for the key only then, since an address that
 * is not valid must look the same as any other to a sender without a key.
 */
export type AnswerRead = (c: ReadContext, ask: () => Asked) => Response | Promise<Response>;

interface KnownRead {
  /** The path of its route, as the OpenAPI document has it. */
  readonly route: string;
  readonly ask: () => Asked;
  readonly answer: AnswerRead;
}

/** The reads that this isolate has routed before, by address: a warm hit neither routes nor parses anything. */
export class KnownReads {
  readonly #reads = new Map<string, KnownRead>();

  get(url: string): KnownRead | undefined {
    return this.#reads.get(url);
  }

  /**
   * @param route its path, as the OpenAPI document has it.
   * @returns `asked`.
   */
  remember(url: string, route: string, asked: Asked, answer: AnswerRead): Asked {
    if (url.length > ADDRESS_CHARACTERS_MAX) return asked;
    for (const oldest of this.#reads.keys()) {
      if (this.#reads.size < ADDRESSES_MAX) break;
      this.#reads.delete(oldest);
    }
    this.#reads.set(url, { route, ask: () => asked, answer });
    return asked;
  }
}

/** A request whose route is known. One object is all that a warm hit allocates in place of hono's context. */
class RoutedRead implements ReadContext {
  readonly raw: Request;
  readonly url: string;
  readonly env: object;
  readonly executionCtx: ReadContext['executionCtx'];

  constructor(raw: Request, url: string, env: object, executionCtx: ReadContext['executionCtx']) {
    this.raw = raw;
    this.url = url;
    this.env = env;
    this.executionCtx = executionCtx;
  }

  get req(): this {
    return this;
  }
}

type Fetch = Hono<AppEnv>['fetch'];

/**
 * The handler of an app whose cached reads skip hono once their addresses are known. Routing, and the address that the
 * runtime makes anew each time it is asked for, cost a warm hit a seventh of its time. An error of a read becomes the
 * answer that `failed` makes of it, as in the app. Every answer is counted.
 *
 * @param routed the handler of the app itself.
 */
export function fetchKnownFirst(
  routed: Fetch,
  known: KnownReads,
  failed: Parameters<Hono<AppEnv>['onError']>[0],
  {
    count,
    routes,
    trace,
  }: {
    readonly count: CountRequest;
    readonly routes: RouteLabels;
    readonly trace?: TraceRequest | undefined;
  },
): Fetch {
  const thrown = new WeakMap<Request, unknown>();
  const failing = new Hono<AppEnv>();
  failing.onError(failed);
  failing.all('*', (c) => {
    throw thrown.get(c.req.raw);
  });
  return (request, env, ctx) => {
    const startedMs = systemNow();
    const url = request.method === 'GET' ? request.url : '';
    const read = known.get(url);
    if (env === undefined || ctx === undefined) return routed(request, env, ctx);
    const traced = trace?.(request, env, ctx, startedMs);
    // The trace goes where the context of the request goes.
    const own = traced ?? ctx;
    const counted = (answer: Response): Response => {
      const labels = read === undefined ? routes.of(request) : (['GET', read.route] as const);
      const exported = traced === undefined ? undefined : endTrace(traced, labels, answer);
      count([...labels, answer.status, startedMs], request, env, ctx, exported);
      return answer;
    };
    if (read === undefined) {
      const answer = routed(request, env, own);
      return answer instanceof Promise ? answer.then(counted) : counted(answer);
    }
    const fail = async (error: unknown) => {
      thrown.set(request, error);
      return counted(await failing.fetch(request, env, own));
    };
    let answer: Response | Promise<Response>;
    try {
      answer = read.answer(new RoutedRead(request, url, env, own), read.ask);
    } catch (error) {
      return fail(error);
    }
    return answer instanceof Promise ? answer.then(counted, fail) : counted(answer);
  };
}
