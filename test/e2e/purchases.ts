import { rankerBundle } from '../support/models/ranker.ts';
import { eventually, KEY, type Stack } from '../support/node/stack.ts';

export const AUTHORIZED = { authorization: `Bearer ${KEY}` };
export const strong = { 'millrace-consistency': 'strong' };

let nextId = 0;
export function purchaseOf(
  customerId: string | null,
  sku: string,
  data: object = {},
): Record<string, unknown> {
  nextId += 1;
  return {
    specversion: '1.0',
    id: `e2e-${nextId}`,
    source: '/e2e',
    type: 'shop.purchase.v1',
    data: {
      invoice: '1',
      sku,
      description: `About ${sku}`,
      quantity: 2,
      unitPrice: 2.5,
      customerId,
      country: 'UK',
      ...data,
    },
  };
}

/** The requests of these tests to a stack. */
export class PurchaseClient {
  readonly #stack: Pick<Stack, 'fetch'>;

  constructor(stack: Pick<Stack, 'fetch'>) {
    this.#stack = stack;
  }

  async publishModel(
    change: (bundle: ReturnType<typeof rankerBundle>) => void = () => undefined,
  ): Promise<Response> {
    const bundle = rankerBundle();
    change(bundle);
    return await this.#stack.fetch('/v1/admin/models/ranker/champion', {
      method: 'PUT',
      headers: { ...AUTHORIZED, 'content-type': 'application/json' },
      body: JSON.stringify(bundle),
    });
  }

  async send(events: readonly object[]): Promise<Response> {
    return await this.#stack.fetch('/v1/events', {
      method: 'POST',
      headers: { ...AUTHORIZED, 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(events),
    });
  }

  async get(path: string, headers: Record<string, string> = {}) {
    const response = await this.#stack.fetch(path, { headers: { ...AUTHORIZED, ...headers } });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      cache: response.headers.get('cache-status') ?? '',
      token: response.headers.get('millrace-token') ?? '',
      json: text === '' ? {} : (JSON.parse(text) as Record<string, never>),
    };
  }

  async featuresOf(customer: string): Promise<Record<string, { value: unknown }>> {
    const response = await this.#stack.fetch('/v1/features/read', {
      method: 'POST',
      headers: { ...AUTHORIZED, 'content-type': 'application/json' },
      body: JSON.stringify({ entity: 'customer', keys: [customer] }),
    });
    const body = (await response.json()) as { results: { features: Record<string, { value: unknown }> }[] };
    return body.results[0]?.features ?? {};
  }

  async folded(customer: string, purchases: number): Promise<void> {
    await eventually(
      () => this.featuresOf(customer),
      (features) => features['purchases_30d']?.value === purchases,
    );
  }
}
