import { type AddressInput, addressOf } from './address.ts';
import { ProblemError, parsed, shown, UnexpectedAnswerError } from './errors.ts';
import { exchange, type Sendable } from './exchange.ts';
import type { DataOf, InputOf, Method, OperationOf, PathsWith } from './operations.ts';
import { isSafe } from './retry.ts';
import type { paths } from './routes.ts';
import { type ClientSystem, SYSTEM } from './system.ts';
import { type TraceContext, traceOf } from './trace.ts';

/** For all attempts of a call together. A person does not wait longer for a page. */
const DEADLINE_MS = 30_000;
/** For one attempt: the slowest answer of a worker whose database hangs takes less. */
const ATTEMPT_MS = 15_000;

/** What a reader asks for (docs/coherence.md). */
export type Consistency = 'strong' | 'bounded' | 'eventual';

export interface ClientOptions {
  /** The address of the worker, without a path. */
  readonly url: string;
  /** An API key or a token, or a function that returns the current one, for credentials that are renewed. */
  readonly key?: string | (() => string | Promise<string>);
  /** For all attempts of a call together, in milliseconds; 30,000 unless given. */
  readonly deadlineMs?: number;
  /** For one attempt, in milliseconds; 15,000 unless given. */
  readonly attemptMs?: number;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces the runtime's clock, randomness, timers and `fetch`, for example the `fetch` of a service binding. */
  readonly system?: Partial<ClientSystem>;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number;
  readonly attemptMs?: number;
  readonly consistency?: Consistency;
  /** The answer is at least as fresh as the one that had this token. */
  readonly token?: string;
  /**
   * The key under which the server recognises a repetition. An unsafe call gets a random one, so that it can be
   * repeated; `false` sends none, and the call is sent once.
   */
  readonly idempotencyKey?: string | false;
  /**
   * True if the call has no effect, or the same effect if it is repeated, whatever its method: it needs no idempotency
   * key. False to send it once.
   */
  readonly isRepeatable?: boolean;
  /** The trace that the call belongs to (W3C Trace Context). */
  readonly traceparent?: string | undefined;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of success. */
export interface Answer<Data> {
  readonly data: Data;
  readonly status: number;
  readonly headers: Headers;
  /** Reads with this token show at least what this answer shows. */
  readonly token: string | undefined;
  readonly traceId: string;
}

/** What `fetch` takes: a route and its parameters. */
export interface RawCall extends AddressInput, CallOptions {
  readonly method?: string;
  readonly body?: Sendable | undefined;
  /**
   * True for a body without an end, such as that of the live feed: the response is returned with its headers, where the
   * deadline ends. Otherwise its body is read within the time of the attempt.
   */
  readonly isStream?: boolean;
}

interface UntypedCall extends AddressInput, CallOptions {
  readonly body?: unknown;
}

type Rest<Input> = object extends Input ? [call?: Input & CallOptions] : [call: Input & CallOptions];

/** A call of the method `M` on a path of `Paths`. */
type Call<Paths, M extends Method> = <Path extends PathsWith<Paths, M>>(
  path: Path,
  ...call: Rest<InputOf<OperationOf<Paths, Path, M>>>
) => Promise<Answer<DataOf<OperationOf<Paths, Path, M>>>>;

/** @typeParam Paths the routes: those of Millrace itself, or those that `npm run client:types` writes for a catalog. */
export interface Client<Paths = paths> {
  readonly get: Call<Paths, 'get'>;
  readonly put: Call<Paths, 'put'>;
  readonly post: Call<Paths, 'post'>;
  readonly delete: Call<Paths, 'delete'>;
  readonly patch: Call<Paths, 'patch'>;
  /**
   * A call whose response the caller reads itself. Its whole body has arrived, unless the call says `isStream`.
   *
   * @throws MillraceError for any answer but a success or 304.
   */
  readonly fetch: (path: string, call?: RawCall) => Promise<Response>;
  /** A client whose calls share the newest token: each read shows every earlier answer and write of the session. */
  readonly session: (token?: string) => Session<Paths>;
  readonly system: ClientSystem;
}

export interface Session<Paths = paths> extends Client<Paths> {
  /** The newest token of the session, to continue it elsewhere. */
  readonly token: string | undefined;
}

/**
 * A client of a worker.
 *
 * @throws TypeError if the URL is not an address of http or https.
 */
export function createClient<Paths = paths>(options: ClientOptions): Client<Paths> {
  return new HttpClient<Paths>(options, undefined);
}

/** Both a client and a session: a client is a session that keeps no token. */
class HttpClient<Paths> implements Session<Paths> {
  readonly system: ClientSystem;
  readonly #options: ClientOptions;
  readonly #base: string;
  readonly #tokens: SessionToken | undefined;

  constructor(options: ClientOptions, tokens: SessionToken | undefined) {
    const { protocol, origin } = new URL(options.url);
    if (!/^https?:$/.test(protocol)) throw new TypeError(`The URL ${options.url} is not of http or https.`);
    this.system = { ...SYSTEM, ...options.system };
    this.#options = options;
    this.#base = origin;
    this.#tokens = tokens;
  }

  readonly get = this.#method('get');
  readonly put = this.#method('put');
  readonly post = this.#method('post');
  readonly delete = this.#method('delete');
  readonly patch = this.#method('patch');

  get token(): string | undefined {
    return this.#tokens?.newest;
  }

  session(token?: string): Session<Paths> {
    return new HttpClient<Paths>(this.#options, new SessionToken(token));
  }

  async fetch(path: string, call: RawCall = {}): Promise<Response> {
    return await this.#send(path, call, call.isStream === true ? asItIs : whole);
  }

  #method<M extends Method>(method: M): Call<Paths, M> {
    const send = async (path: string, { body, ...call }: UntypedCall = {}): Promise<Answer<unknown>> =>
      await this.#send(
        path,
        { ...call, ...encoded(body, call), method: method.toUpperCase() },
        (response, { traceId }) => answerOf(response, path, traceId),
      );
    // The types of the routes say what the server takes and returns. Nothing at run time knows them.
    return send as Call<Paths, M>;
  }

  async #send<T>(
    path: string,
    call: RawCall,
    read: (response: Response, trace: TraceContext) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#exchange(path, call, read);
    } catch (error) {
      // The clock was made anew, and the token of the session ended with the old one. A strong read shows all that the
      // session has seen.
      const isEnded = error instanceof ProblemError && error.code === 'token_from_another_epoch';
      if (!isEnded || this.#tokens === undefined || call.token !== undefined) throw error;
      this.#tokens.forget();
      return await this.#exchange(path, { ...call, consistency: 'strong' }, read);
    }
  }

  async #exchange<T>(
    path: string,
    call: RawCall,
    read: (response: Response, trace: TraceContext) => Promise<T>,
  ): Promise<T> {
    const { deadlineMs = DEADLINE_MS, attemptMs = ATTEMPT_MS } = { ...this.#options, ...call };
    const { method = 'GET', body, signal } = call;
    const headers = await this.#headersOf(method, call);
    const trace = traceOf(call.traceparent, this.system.newId);
    const isRepeatable = call.isRepeatable ?? (isSafe(method) || headers.has('idempotency-key'));
    return await exchange(
      {
        ...{ method, headers, body, signal, trace, isRepeatable, deadlineMs, attemptMs },
        url: addressOf(this.#base, path, call),
      },
      async (response) => {
        this.#tokens?.note(response.headers.get('millrace-token'));
        return await read(response, trace);
      },
      this.system,
    );
  }

  async #headersOf(method: string, call: RawCall): Promise<Headers> {
    const { key } = this.#options;
    const headers = new Headers(this.#options.headers);
    const bearer = typeof key === 'function' ? await key() : key;
    if (bearer !== undefined) headers.set('authorization', `Bearer ${bearer}`);
    const token = call.token ?? this.#tokens?.newest;
    if (token !== undefined) headers.set('millrace-token', token);
    if (call.consistency !== undefined) headers.set('millrace-consistency', call.consistency);
    if (call.contentType !== undefined) headers.set('content-type', call.contentType);
    const { idempotencyKey, isRepeatable = isSafe(method) } = call;
    if (typeof idempotencyKey === 'string') headers.set('idempotency-key', idempotencyKey);
    else if (idempotencyKey === undefined && !isRepeatable)
      headers.set('idempotency-key', this.system.newId());
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    return headers;
  }
}

/** The newest token of a session. */
class SessionToken {
  #newest: string | undefined;

  constructor(token: string | undefined) {
    this.#newest = token;
  }

  get newest(): string | undefined {
    return this.#newest;
  }

  note(token: string | null): void {
    if (token !== null && isNewer(token, this.#newest)) this.#newest = token;
  }

  forget(): void {
    this.#newest = undefined;
  }
}

/** A token is `<epoch>.<number>`, and its number only rises. Of two epochs, the one that arrives later is the newer. */
function isNewer(token: string, than: string | undefined): boolean {
  const [epoch, seq] = partsOf(token);
  const [knownEpoch, knownSeq] = partsOf(than ?? '');
  return epoch !== knownEpoch || seq > knownSeq;
}

function partsOf(token: string): readonly [epoch: string, seq: number] {
  const dot = token.lastIndexOf('.');
  return [token.slice(0, dot), Number(token.slice(dot + 1))];
}

/** A value without a media type of its own is sent as JSON. */
function encoded(body: unknown, { contentType }: CallOptions): { body?: Sendable; contentType?: string } {
  if (body === undefined) return {};
  if (contentType !== undefined && isSendable(body)) return { body, contentType };
  return { body: JSON.stringify(body), contentType: contentType ?? 'application/json' };
}

function isSendable(body: unknown): body is Sendable {
  return (
    typeof body === 'string' ||
    body instanceof ArrayBuffer ||
    body instanceof Uint8Array ||
    body instanceof Blob
  );
}

async function asItIs(response: Response): Promise<Response> {
  return response;
}

/** The same response with a body that has arrived, so that reading it cannot fail or wait. */
async function whole(response: Response): Promise<Response> {
  const { status, statusText, headers } = response;
  const bytes = await response.arrayBuffer();
  // A status such as 204 or 304 allows no body, not even an empty one.
  return new Response(bytes.byteLength === 0 ? null : bytes, { status, statusText, headers });
}

/** @throws UnexpectedAnswerError if the body is none that a route of Millrace returns. */
async function answerOf(response: Response, path: string, traceId: string): Promise<Answer<unknown>> {
  const { status, headers } = response;
  const text = await response.text();
  const foreign = (what: string) =>
    new UnexpectedAnswerError(`${path} answered ${status} with ${what}: ${shown(text)}.`, status, traceId);
  const type = headers.get('content-type') ?? '';
  // A page for people, such as a proxy's. The pages of Millrace are read with `fetch`.
  if (type.startsWith('text/html')) throw foreign('a page of HTML');
  let data: unknown = text === '' ? undefined : text;
  if (text !== '' && /[/+]json\b/.test(type)) {
    const json = parsed(text);
    if (json === undefined) throw foreign('JSON that has a fault');
    data = json.value;
  }
  return { data, status, headers, token: headers.get('millrace-token') ?? undefined, traceId };
}
