import * as z from 'zod';
import { shownOf } from '../../../scripts/project/examples.ts';
import { expectedSpendBundle } from '../models/outside.ts';
import { eventually, KEY, type Stack } from '../node/stack.ts';
import { type Sample, samples } from './operations.ts';

/** Stands for the name of a model in an example that every catalog with a model has (`src/gateway/contract/true-examples.ts`). */
const MODEL = '{model}';

/** An answer of an operation of Millrace itself. */
export interface Recorded {
  readonly operationId: string;
  readonly status: string;
  readonly body: unknown;
}

/** A request beside the samples, whose answer has a status or a content that those of the samples lack. */
interface Step {
  readonly name: string;
  readonly path: string;
  readonly body?: unknown;
  readonly type?: string;
  readonly prefer?: string;
}

const Listed = z.object({
  operations: z.array(
    z.looseObject({ operationId: z.string(), method: z.string(), path: z.string(), owner: z.string() }),
  ),
});
const WithId = z.object({ id: z.string() });
const WithVersion = z.object({ version: z.string() });

/** Asks a stack of the fixture's catalog for answers of all operations of Millrace itself. */
export class OwnExamples {
  readonly #stack: Pick<Stack, 'fetch'>;
  /** The ids of the operations, by method and path of the document. */
  readonly #own: ReadonlyMap<string, string>;
  readonly #answers: Recorded[] = [];

  private constructor(stack: Pick<Stack, 'fetch'>, own: ReadonlyMap<string, string>) {
    this.#stack = stack;
    this.#own = own;
  }

  /** The first answer of each status of each operation, and the operations without a success. */
  static async record(stack: Pick<Stack, 'fetch'>) {
    const answer = await ask(stack, 'GET', { path: '/v1/inventory' });
    const own = Listed.parse(await answer.json()).operations.filter(({ owner }) => owner === 'millrace');
    const ids = own.map(({ operationId, method, path }) => [`${method.toUpperCase()} ${path}`, operationId]);
    const examples = new OwnExamples(stack, new Map(ids as [string, string][]));
    const { version, key } = await examples.#story();
    const failed = await examples.#samples(version, key);
    return { recorded: examples.#answers, failed };
  }

  /** What the samples need, and answers that these do not get. @returns a version and the path of a key. */
  async #story() {
    const events = '/v1/events';
    const purchase = (id: string, type = 'shop.purchase.v1') => ({
      ...{ specversion: '1.0', id, source: '/example', type },
      data: { invoice: '1', sku: 'M1', quantity: 1, unitPrice: 2, customerId: 'M1', country: 'UK' },
    });
    const post = { name: 'POST /v1/events', path: events };
    const structured = { ...post, type: 'application/cloudevents+json' };
    // The first two entries of the audit log name no declaration.
    const created = WithId.parse(
      await this.#step({
        ...{ name: 'POST /v1/admin/keys', path: '/v1/admin/keys' },
        body: { name: 'reporting', scopes: ['data:read', 'operations:read'] },
      }),
    );
    const key = `/v1/admin/keys/${created.id}`;
    await this.#step({
      ...{ name: 'POST /v1/admin/keys/{id}/rotate', path: `${key}/rotate` },
      body: { overlapS: 3_600 },
    });
    await this.#step({ name: 'GET /v1/admin/audit/chain', path: '/v1/admin/audit/chain' });

    await this.#step({ ...structured, body: purchase('waited'), prefer: 'wait' });
    await this.#step({ ...structured, body: purchase('waited'), prefer: 'wait' });
    await this.#step({
      ...{ ...post, type: 'application/cloudevents-batch+json' },
      body: [purchase('other'), { ...purchase('refused', 'example.unknown.v1'), data: { amount: 1 } }],
    });
    await this.#quarantined();
    await this.#incidents();
    await this.#quiet();
    const version = await this.#versions();
    await this.#dataset();
    return { version, key };
  }

  /** An incident that somebody opens, from its begin to its post-mortem. */
  async #incidents(): Promise<void> {
    const path = '/v1/admin/incidents';
    const begun = await this.#step({
      ...{ name: `POST ${path}`, path },
      body: { title: 'The answers are slow', severity: 'ticket' },
    });
    const { id } = z.object({ id: z.int() }).parse(begun);
    const of = (verb: string, body: unknown) =>
      this.#step({ name: `POST ${path}/{id}/${verb}`, path: `${path}/${id}/${verb}`, body });
    await of('acknowledge', {});
    await of('severity', { severity: 'page' });
    await of('notes', { text: 'A replica takes over.' });
    await of('resolve', { text: 'The replica answers.' });
    await this.#step({ name: `GET ${path}/{id}`, path: `${path}/${id}` });
    await this.#step({ name: `GET ${path}/{id}/postmortem`, path: `${path}/${id}/postmortem` });
  }

  /** A silence and a maintenance window that begin and end. */
  async #quiet(): Promise<void> {
    const body = {
      matchers: [{ label: 'objective', is: '=', value: 'hit_ratio' }],
      startsAt: '2098-12-30T00:00:00Z',
      endsAt: '2098-12-31T00:00:00Z',
      comment: 'a release',
    };
    for (const path of ['/v1/admin/silences', '/v1/admin/maintenance']) {
      const begun = await this.#step({ name: `POST ${path}`, path, body });
      const { id } = WithId.parse(begun);
      await this.#step({ name: `DELETE ${path}/{id}`, path: `${path}/${id}` });
    }
  }

  async #quarantined(): Promise<void> {
    const path = '/v1/admin/quarantine';
    const Page = z.object({ events: z.array(z.object({ id: z.int() })) });
    const { events } = await eventually(
      async () => Page.parse(await (await ask(this.#stack, 'GET', { path })).json()),
      ({ events }) => events.length > 0,
    );
    await this.#step({ name: 'GET /v1/admin/quarantine/{id}', path: `${path}/${events[0]?.id}` });
  }

  /** Publishes a version and registers another; begins its rollout and ends it; promotes, rolls back and withdraws it. @returns the first. */
  async #versions(): Promise<string> {
    const base = '/v1/admin/models/expected-spend';
    const of = '/v1/admin/models/{model}';
    const first = await expectedSpendBundle();
    const second = await expectedSpendBundle({ fallback: { value: 1, doubled: 2 } });
    const publish = { name: `PUT ${of}/champion`, path: `${base}/champion` };
    const register = { name: `POST ${of}/versions`, path: `${base}/versions`, body: second };
    const { version } = WithVersion.parse(await this.#step({ ...publish, body: first }));
    const other = WithVersion.parse(await this.#step(register));
    await this.#step(register);
    const rollout = { name: `${of}/rollout`, path: `${base}/rollout` };
    await this.#step({
      ...{ name: `POST ${rollout.name}`, path: rollout.path },
      body: { version: other.version },
    });
    await this.#step({ name: `GET ${rollout.name}`, path: rollout.path });
    await this.#step({ name: `POST ${rollout.name}/abort`, path: `${rollout.path}/abort` });
    await this.#step({
      ...{ name: `PUT ${of}/aliases/{alias}`, path: `${base}/aliases/champion` },
      body: { version: other.version },
    });
    await this.#step({
      ...{ name: `POST ${of}/rollback`, path: `${base}/rollback` },
      body: { alias: 'champion' },
    });
    await this.#step({
      ...{ name: `POST ${of}/versions/{version}/retire` },
      path: `${base}/versions/${other.version}/retire`,
    });
    return version;
  }

  async #dataset(): Promise<void> {
    const path = '/v1/admin/datasets';
    const begun = await this.#step({ name: `POST ${path}`, path, body: { model: 'expected-spend' } });
    const one = `${path}/${WithId.parse(begun).id}`;
    // There are no label events, so it fails, and the failure names their type. `WRITTEN_EXAMPLES` has other answers.
    await eventually(
      async () => await (await ask(this.#stack, 'GET', { path: one })).json(),
      (dataset) => Object(dataset).state === 'failed',
    );
    await this.#step({ name: `GET ${path}/{id}`, path: one });
    await this.#step({ name: `GET ${path}`, path });
    await this.#step({ name: `DELETE ${path}/{id}`, path: one });
  }

  /** The samples of all operations. A deleted key is shown by no later request. @returns those that failed. */
  async #samples(version: string, key: string): Promise<string[]> {
    const known = await samples();
    const found: Readonly<Record<string, Partial<Sample>>> = {
      'GET /v1/admin/keys/{id}': { path: key },
      'DELETE /v1/admin/keys/{id}': { path: key },
    };
    const failed: string[] = [];
    const names = [...this.#own.keys()].toSorted((a, b) => order(a) - order(b));
    for (const name of names) {
      const sample = { ...known[name], ...found[name] };
      if (sample.path === undefined) throw new Error(`${name} has no sample.`);
      const operationId = this.#own.get(name) ?? '';
      const isAnswered = this.#answers.some((one) => one.operationId === operationId);
      const path = sample.path.replace('VERSION', version);
      if (!(await this.#asked({ ...sample, name, path })).ok && !isAnswered) failed.push(operationId);
    }
    return failed;
  }

  async #step(step: Step): Promise<unknown> {
    const { ok, status, body } = await this.#asked(step);
    if (!ok) throw new Error(`${step.name} was answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async #asked(step: Step): Promise<{ ok: boolean; status: number; body?: unknown }> {
    const [method = ''] = step.name.split(' ');
    const response = await ask(this.#stack, method, step);
    const { ok, status } = response;
    const type = response.headers.get('content-type') ?? '';
    if (type.startsWith('text/event-stream')) {
      await response.body?.cancel();
      return { ok, status };
    }
    const text = await response.text();
    if (!/^application\/(problem\+)?json/.test(type)) return { ok, status };
    const body: unknown = JSON.parse(text);
    const operationId = this.#own.get(step.name) ?? '';
    const isNew = !this.#answers.some(
      (one) => one.operationId === operationId && one.status === String(status),
    );
    if (ok && isNew)
      this.#answers.push({
        operationId,
        status: String(status),
        body: ofAnyModel(shortened(operationId, body)),
      });
    return { ok, status, body };
  }
}

async function ask(
  stack: Pick<Stack, 'fetch'>,
  method: string,
  { path, body, type = 'application/json', prefer }: Omit<Step, 'name'>,
): Promise<Response> {
  return (await stack.fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${KEY}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(prefer === undefined ? {} : { prefer }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })) as unknown as Response;
}

function order(name: string): number {
  return name.startsWith('DELETE') ? 1 : 0;
}

/** Of the document, an example shows one operation: the whole would contain itself. */
function shortened(operationId: string, body: unknown): unknown {
  if (operationId !== 'getOpenApi') return body;
  const { paths, components: _, ...rest } = z.looseObject({ paths: z.looseObject({}) }).parse(body);
  const path = '/health/live';
  const { get } = z.object({ get: z.looseObject({}) }).parse(paths[path]);
  const { operationId: id, summary, tags } = get;
  return { ...rest, paths: { [path]: { get: { operationId: id, summary, tags } } } };
}

function ofAnyModel(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('"expected-spend"', `"${MODEL}"`));
}

/** What an example shows of the answer. */
export function exampleOf({ body }: Recorded): unknown {
  return shownOf(body);
}
