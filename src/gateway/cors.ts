import { createMiddleware } from 'hono/factory';
import type { Catalog } from '../define/catalog.ts';
import { pathPattern } from './address.ts';
import type { AppEnv } from './context.ts';
import { ruleOf } from './route-rules.ts';

/** How long a browser may remember what a preflight has answered, in seconds: the most that Chromium takes. */
const PREFLIGHT_MAX_AGE_S = 7_200;
const ALLOW_ORIGIN = 'access-control-allow-origin';

/**
 * The headers of every public read. They depend on nothing in the request, so a browser's cache may give the answer to any
 * page, and a warm hit copies them with its other headers. All headers of the answer may be read.
 */
const PUBLIC_READ: Readonly<Record<string, string>> = {
  [ALLOW_ORIGIN]: '*',
  'access-control-expose-headers': '*',
};

/** What the answers of a cached route have in addition. */
export interface CachedCors {
  readonly headers: Readonly<Record<string, string>>;
  readonly vary: readonly string[];
  /** Adds to an answer what depends on the origin of the request; undefined if nothing does. */
  readonly mark: ((response: Response, request: Request) => void) | undefined;
}

/** A route that no page of another origin may read. */
export const NO_PAGES: CachedCors = { headers: {}, vary: [], mark: undefined };

/**
 * The CORS protocol (WHATWG Fetch §3.3). Millrace has no cookies, and answers never allow credentials: a page has the
 * rights of the key that it sends, and none of its reader's. Public reads are open to pages of any origin; all other
 * routes to pages of the declared origins.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;
  /** The paths of the public views and models. */
  readonly #publicPaths: readonly RegExp[];

  constructor({ cors, views, models }: Pick<Catalog, 'cors' | 'views' | 'models'>) {
    this.#origins = new Set(cors.origins);
    this.#publicPaths = [...views, ...models].flatMap(({ isPublic, path }) =>
      isPublic && path !== undefined ? [pathPattern(path)] : [],
    );
  }

  ofCachedRoute(isPublic: boolean): CachedCors {
    if (isPublic) return { headers: PUBLIC_READ, vary: [], mark: undefined };
    if (this.#origins.size === 0) return NO_PAGES;
    return {
      headers: {},
      vary: ['Origin'],
      mark: (response, { headers }) => this.#allow(response.headers, headers),
    };
  }

  /** Adds to an answer what a page needs to read it. */
  mark(response: Response, { method, url, headers }: Request): void {
    if (this.#isPublicRead(method, url))
      for (const [name, value] of Object.entries(PUBLIC_READ)) response.headers.set(name, value);
    else if (this.#origins.size > 0) {
      addVary(response.headers, 'Origin');
      this.#allow(response.headers, headers);
    }
  }

  /**
   * Adds to an answer to OPTIONS what a preflight asks for.
   *
   * @param allow the methods of the path, as in `Allow`.
   */
  preflight(response: Response, { url, headers }: Request, allow: string): Response {
    const method = headers.get('access-control-request-method');
    if (method === null) return response;
    const isPublic = this.#isPublicRead(method, url);
    addVary(response.headers, 'Origin, Access-Control-Request-Method');
    if (isPublic) response.headers.set(ALLOW_ORIGIN, '*');
    else if (!this.#allow(response.headers, headers)) return response;
    response.headers.delete('access-control-expose-headers');
    response.headers.set('access-control-allow-methods', isPublic ? 'GET, HEAD' : allow);
    // The asterisk stands for every header but `Authorization`.
    response.headers.set('access-control-allow-headers', isPublic ? '*' : '*, Authorization');
    response.headers.set('access-control-max-age', String(PREFLIGHT_MAX_AGE_S));
    return response;
  }

  #allow(answer: Headers, request: Headers): boolean {
    const origin = request.get('origin');
    if (origin === null || !this.#origins.has(origin)) return false;
    answer.set(ALLOW_ORIGIN, origin);
    answer.set('access-control-expose-headers', '*');
    return true;
  }

  #isPublicRead(method: string, url: string): boolean {
    if (method !== 'GET' && method !== 'HEAD') return false;
    const path = new URL(url).pathname;
    return ruleOf(method, path)?.scope === null || this.#publicPaths.some((pattern) => pattern.test(path));
  }
}

function addVary(headers: Headers, names: string): void {
  const known = headers.get('vary');
  if (known === null) headers.set('vary', names);
  else if (!known.split(', ').includes(names)) headers.set('vary', `${known}, ${names}`);
}

/** Middleware that marks every answer of an uncached route for pages, but those of preflights. */
export function readableByPages(cors: Cors) {
  return createMiddleware<AppEnv>(async (c, next) => {
    await next();
    if (c.req.method !== 'OPTIONS') cors.mark(c.res, c.req.raw);
  });
}
