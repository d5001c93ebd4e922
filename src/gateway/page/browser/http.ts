/** Requests of the page to its own deployment. */

/** An answer, as far as the page compares and shows it. */
export interface Answer {
  readonly address: string;
  readonly status: number;
  /** RFC 9211; empty where the route is not cached. */
  readonly cacheStatus: string;
  readonly token: string | undefined;
  readonly text: string;
  /** Undefined for a body that is not JSON. */
  readonly json: unknown;
}

export interface Request {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The longest wait for one answer: an event that waits until it is stored may be retried for some seconds. */
const DEADLINE_MS = 30_000;

/**
 * Asks this deployment with the reader's key.
 *
 * @throws Error for an address of another origin, and if there is no answer within the deadline.
 */
export async function ask(address: string, key: string, request: Request = {}): Promise<Answer> {
  const response = await fetch(ownUrl(address), {
    ...request,
    headers: { accept: 'application/json', ...authorization(key), ...request.headers },
    ...WITHOUT_CACHES,
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const text = await response.text();
  return {
    address,
    status: response.status,
    cacheStatus: response.headers.get('cache-status') ?? '',
    token: response.headers.get('millrace-token') ?? undefined,
    text,
    json: parsed(text),
  };
}

/** Every request asks Millrace, not the browser's cache. A redirect would send the key elsewhere. */
export const WITHOUT_CACHES = { cache: 'no-store', credentials: 'omit', redirect: 'error' } as const;

export function authorization(key: string): Record<string, string> {
  return key === '' ? {} : { authorization: `Bearer ${key}` };
}

function ownUrl(address: string): URL {
  const url = new URL(address, location.origin);
  if (url.origin === location.origin) return url;
  throw new Error(`${address} is not an address of this deployment. Begin it with one slash.`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
