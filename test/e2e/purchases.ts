import { rankerBundle } from '../support/models/ranker.ts';
import type { Answered, Caller } from '../support/node/caller.ts';
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
  readonly #caller: Caller;

  constructor({ caller }: Pick<Stack, 'caller'>) {
    this.#caller = caller;
  }

  async publishModel(
    change: (bundle: ReturnType<typeof rankerBundle>) => void = () => undefined,
  ): Promise<Answered> {
    const bundle = rankerBundle();
    change(bundle);
    return await this.#caller.ask('PUT', '/v1/admin/models/ranker/champion', { json: bundle });
  }

  async send(events: readonly object[]): Promise<Answered> {
    return await this.#caller.ask('POST', '/v1/events', {
      contentType: 'application/cloudevents-batch+json',
      body: JSON.stringify(events),
    });
  }

  async get(path: string, headers: Record<string, string> = {}) {
    const answer = await this.#caller.ask('GET', path, { headers });
    return { ...answer, json: answer.json as Record<string, never> };
  }

  async featuresOf(customer: string) {
    return await this.#caller.featuresOf('customer', customer);
  }

  async folded(customer: string, purchases: number): Promise<void> {
    await eventually(
      () => this.featuresOf(customer),
      (features) => features['purchases_30d']?.value === purchases,
    );
  }
}
