import {
  type Client,
  createClient,
  ProblemError,
  type RawCall,
  type SendOptions,
  type SendReport,
  sendEvents,
} from '../../../src/client/index.ts';

/** A machine that does much else answers late, and that is not what these tests are about. */
const PATIENCE_MS = 60_000;

/** An answer of any status, as tests look at it. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  /** The header `Cache-Status`. */
  readonly cache: string;
  readonly token: string;
  readonly text: string;
  /** The body; a problem if it is a refusal, and an empty object if it is no object of JSON. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface Asked extends RawCall {
  /** Sent as JSON. */
  readonly json?: unknown;
}

/**
 * An ordinary caller of a worker, through the client of the product. Each request is sent once, so that a test sees the
 * first answer. Requests that no client makes, such as malformed ones, are those of `Stack.fetch`.
 */
export class Caller {
  readonly client: Client;
  readonly #url: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.client = createClient({ url, key, deadlineMs: PATIENCE_MS, attemptMs: PATIENCE_MS });
  }

  /** A caller of the same worker with another key. */
  as(key: string): Caller {
    return new Caller(this.#url, key);
  }

  /** A refusal is an answer, too. @throws MillraceError if none arrives. */
  async ask(method: string, path: string, { json, ...call }: Asked = {}): Promise<Answered> {
    const body = json === undefined ? {} : { body: JSON.stringify(json), contentType: 'application/json' };
    const once = { method, isRepeatable: false, idempotencyKey: false } as const;
    try {
      const response = await this.client.fetch(path, { ...once, ...body, ...call });
      return answerOf(response.status, response.headers, await response.text());
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      return answerOf(error.status, error.headers, JSON.stringify(error.problem));
    }
  }

  /** Sends events. With `wait` they are stored, or in quarantine, when the report is there. */
  async send(events: readonly object[], options: SendOptions = {}): Promise<SendReport> {
    return await sendEvents(this.client, events as Parameters<typeof sendEvents>[1], {
      isRepeatable: false,
      ...options,
    });
  }

  /** The features of one entity, by name. */
  async featuresOf(entity: string, key: string): Promise<Readonly<Record<string, { value: unknown }>>> {
    const { data } = await this.client.post('/v1/features/read', {
      body: { entity, keys: [key] },
      isRepeatable: true,
    });
    return data.results[0]?.features ?? {};
  }
}

function answerOf(status: number, headers: Headers, text: string): Answered {
  return {
    status,
    headers,
    text,
    cache: headers.get('cache-status') ?? '',
    token: headers.get('millrace-token') ?? '',
    json: text.startsWith('{') ? JSON.parse(text) : {},
  };
}
