import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import * as z from 'zod';

/**
 * An account of Cloudflare as far as `wrangler deploy` asks for it: wrangler itself is the real one. The routes and their
 * answers are those that wrangler 4.156 sends and reads; the platform's own are not at hand in a test.
 */
export class Account {
  readonly queues: string[] = [];
  readonly buckets: string[] = [];
  readonly namespaces: string[] = [];
  /** By worker, the metadata of the newest upload: its bindings, with the values of secrets. */
  readonly uploads = new Map<string, z.output<typeof Metadata>>();
  /** The versions that were deployed without an upload, the newest last. */
  readonly deployments: string[] = [];
  /** Requests that it does not know. */
  readonly unknown: string[] = [];
  readonly #server = createServer(async (request, response) => {
    const body = (await buffer(request)).toString('latin1');
    const {
      status = 200,
      result = null,
      error,
    } = this.#answer(request.method ?? '', request.url ?? '', body);
    response.writeHead(status, { 'content-type': 'application/json' });
    const errors = error === undefined ? [] : [error];
    const info = Array.isArray(result)
      ? { result_info: { page: 1, total_pages: 1, total_count: result.length } }
      : {};
    response.end(JSON.stringify({ success: error === undefined, errors, messages: [], result, ...info }));
  });

  static async start(): Promise<Account> {
    const account = new Account();
    const listening = Promise.withResolvers<void>();
    account.#server.listen(0, '127.0.0.1', listening.resolve);
    await listening.promise;
    return account;
  }

  /** What makes wrangler take this for the platform. */
  get environment(): Readonly<Record<string, string>> {
    // A server that listens on a port has an address object.
    const { port } = this.#server.address() as AddressInfo;
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}`,
      CLOUDFLARE_API_TOKEN: 'token',
      CLOUDFLARE_ACCOUNT_ID: 'account',
      WRANGLER_SEND_METRICS: 'false',
    };
  }

  [Symbol.dispose](): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(method: string, url: string, body: string): Answer {
    const { pathname, searchParams } = new URL(url, 'http://account');
    const path = pathname.replace('/accounts/account', '');
    const [, worker = ''] = /^\/workers\/(?:scripts|services|workers)\/([\w-]+)/.exec(path) ?? [];
    const rest = path.replace(/^\/workers\/(?:scripts|services|workers)\/[\w-]+/, '/worker');
    switch (`${method} ${rest}`) {
      case 'GET /queues': {
        const wanted = searchParams.get('name');
        const found = this.queues.filter((name) => wanted === null || name === wanted);
        return { result: found.map(queueOf) };
      }
      case 'POST /queues': {
        const { queue_name: name } = z.object({ queue_name: z.string() }).parse(JSON.parse(body));
        if (this.queues.includes(name)) return refused(409, 11_009, `Queue name '${name}' is already taken.`);
        this.queues.push(name);
        return { result: queueOf(name) };
      }
      case 'GET /r2/buckets':
        return { result: { buckets: this.buckets.map((name) => ({ name })) } };
      case 'POST /r2/buckets':
        this.buckets.push(z.object({ name: z.string() }).parse(JSON.parse(body)).name);
        return {};
      case 'GET /storage/kv/namespaces':
        return { result: this.namespaces.map((title, at) => ({ id: `namespace-${at}`, title })) };
      case 'POST /storage/kv/namespaces': {
        const { title } = z.object({ title: z.string() }).parse(JSON.parse(body));
        this.namespaces.push(title);
        return { result: { id: `namespace-${this.namespaces.length - 1}`, title } };
      }
      case 'GET /workers/subdomain':
        return { result: { subdomain: 'acme' } };
      case 'PUT /worker':
        this.uploads.set(worker, metadataIn(body));
        return {
          result: { id: worker, tag: 'tag', startup_time_ms: 12, deployment_id: VERSION.replaceAll('-', '') },
        };
      case 'POST /worker/subdomain':
      case 'GET /worker/subdomain':
        return { result: { enabled: true, previews_enabled: false } };
      case 'PUT /worker/schedules':
        return { result: { schedules: [] } };
      case 'POST /worker/assets-upload-session':
        return { result: { jwt: 'uploaded', buckets: [] } };
      default:
        return this.#ofWorker(`${method} ${rest}`, worker, body);
    }
  }

  /** What only a worker that exists has. */
  #ofWorker(asked: string, worker: string, body: string): Answer {
    const [, bucket] = /^GET \/r2\/buckets\/([\w-]+)$/.exec(asked) ?? [];
    if (bucket !== undefined)
      return this.buckets.includes(bucket)
        ? { result: { name: bucket } }
        : refused(404, 10_006, 'The specified bucket does not exist.');
    if (/^(GET|POST|PUT) \/queues\/[\w-]+\/consumers/.test(asked)) return { result: [] };
    const upload = this.uploads.get(worker);
    if (worker === '') return this.#unknown(asked);
    if (upload === undefined) return refused(404, 10_007, 'This Worker does not exist on your account.');
    const { bindings } = upload;
    const [, version] = /^GET \/worker\/versions\/([\w-]+)$/.exec(asked) ?? [];
    if (version !== undefined) return { result: versionOf(version) };
    switch (asked) {
      case 'POST /worker/deployments': {
        const { versions } = Deployment.parse(JSON.parse(body));
        this.deployments.push(...versions.map((of) => of.version_id));
        return { result: { id: 'd' } };
      }
      case 'GET /worker':
        return {
          result: {
            id: worker,
            name: worker,
            subdomain: { enabled: true, previews_enabled: false },
            default_environment: {
              environment: 'production',
              script: { tag: 'tag', last_deployed_from: 'wrangler' },
            },
          },
        };
      case 'PATCH /worker/script-settings':
        return { result: {} };
      case 'GET /worker/deployments':
        return { result: { deployments: [VERSION, VERSION_BEFORE].map(deploymentOf) } };
      case 'GET /worker/secrets':
        return {
          result: bindings
            .filter(({ type }) => type === 'secret_text')
            .map(({ name, type }) => ({ name, type })),
        };
      case 'GET /worker/settings':
        return { result: { bindings, migration_tag: upload.migrations?.new_tag ?? 'v22' } };
      default:
        return this.#unknown(asked);
    }
  }

  #unknown(asked: string): Answer {
    this.unknown.push(asked);
    return refused(404, 7_003, `The test's account does not know ${asked}.`);
  }
}

/** The id of the version before. */
export const VERSION_BEFORE = '00000000-2222-4333-8444-555555555555';
/** The id of every version that is uploaded. */
export const VERSION = '11111111-2222-4333-8444-555555555555';

interface Answer {
  readonly status?: number;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

const Metadata = z.object({
  bindings: z.array(z.looseObject({ name: z.string(), type: z.string() })),
  migrations: z.looseObject({ new_tag: z.string() }).optional(),
});

const Deployment = z.object({ versions: z.array(z.object({ version_id: z.string() })) });

function deploymentOf(version: string): object {
  const versions = [{ version_id: version, percentage: 100 }];
  return {
    id: `of-${version}`,
    source: 'wrangler',
    strategy: 'percentage',
    created_on: CREATED,
    annotations: {},
    versions,
  };
}

function versionOf(id: string): object {
  const metadata = {
    created_on: CREATED,
    modified_on: CREATED,
    source: 'wrangler',
    author_email: 'a@acme.example',
  };
  return {
    id,
    number: 1,
    metadata,
    annotations: {},
    resources: { bindings: [], script: {}, script_runtime: {} },
  };
}

const CREATED = '2026-01-01T00:00:00Z';

function refused(status: number, code: number, message: string): Answer {
  return { status, error: { code, message } };
}

function queueOf(name: string): object {
  return {
    queue_id: name,
    queue_name: name,
    created_on: '2026-01-01T00:00:00Z',
    producers_total_count: 0,
    consumers_total_count: 0,
    producers: [],
    consumers: [],
  };
}

/** The part `metadata` of the form in which a worker is uploaded. */
function metadataIn(form: string): z.output<typeof Metadata> {
  const [, json = ''] = /name="metadata"\r\n\r\n(.*?)\r\n--/s.exec(form) ?? [];
  return Metadata.parse(JSON.parse(json));
}
