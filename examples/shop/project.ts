import { defineProject, type Query, type Smoke } from '../../src/define/project.ts';

/** The shop: 60,000 made-up invoice lines of 13 months, a ranker that is trained from them, the UCI importer. */
export const project = defineProject({
  migrations: 'examples/shop/migrations',
  tables: 'examples/shop/catalog/tables.ts',
  adopted: 'examples/shop/catalog/adopted.ts',
  contracts: 'examples/shop/catalog/contracts',
  seed: async (ports) => (await import('./seed/shop.ts')).seedShop(ports),
  models: { ranker: { train: 'examples/shop/train.ts' } },
  commands: { import: 'examples/shop/import.ts' },
  tryOut: async (query) => {
    const { customer, sku } = await busyCustomer(query);
    return [
      { get: `/v1/products/${sku}` },
      { get: `/v1/customers/${customer}/recommendations` },
      { send: purchaseOf(customer, sku) },
    ];
  },
  smoke: async (query): Promise<Smoke> => {
    const { customer, sku } = await busyCustomer(query);
    return {
      send: purchaseOf(customer, sku),
      fresh: [
        {
          get: `/v1/products/${sku}`,
          isFresh: (before, after) => unitsSold(after) === unitsSold(before) + QUANTITY,
        },
        {
          get: `/v1/customers/${customer}/recommendations`,
          before: { what: 'the model answers', holds: (body) => fieldOf(body, 'source') === 'model' },
          isFresh: (before, after) =>
            JSON.stringify(fieldOf(before, 'items')) !== JSON.stringify(fieldOf(after, 'items')),
        },
      ],
      unrelated: ['/v1/customers/somebody-else/recommendations'],
    };
  },
});

const QUANTITY = 3;

function purchaseOf(customerId: string, sku: string) {
  const line = { invoice: 'TRY1', sku, quantity: QUANTITY, unitPrice: 9.5, customerId };
  return { type: 'shop.purchase.v1', data: { ...line, country: 'United Kingdom' } };
}

/** The customer with most of the newest purchases, and the product of their last one. */
async function busyCustomer(query: Query): Promise<{ customer: string; sku: string }> {
  const [row] = await query(`
    select customer_id, (array_agg(sku order by occurred_at desc))[1] as sku
    from (select * from purchases where customer_id is not null order by occurred_at desc limit 500) recent
    group by customer_id order by count(*) desc, customer_id limit 1`);
  return { customer: String(row?.['customer_id'] ?? '12345'), sku: String(row?.['sku'] ?? '10001') };
}

function unitsSold(body: unknown): number {
  return Number(fieldOf(fieldOf(body, 'sold'), 'units'));
}

function fieldOf(body: unknown, name: string): unknown {
  return Reflect.get(Object(body), name);
}
