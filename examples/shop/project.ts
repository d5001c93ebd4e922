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
    const { customer, sku, otherSku } = await busyCustomer(query);
    const recommendations = `/v1/customers/${customer}/recommendations`;
    const send = purchaseOf(customer, sku);
    return [
      // The products of an empty shop come with their first purchase.
      ...(otherSku === undefined
        ? [
            { send, note: 'the first purchases of two products; 201 says that each is stored' },
            { send: purchaseOf(customer, OTHER_SKU) },
          ]
        : []),
      { get: product(sku), note: 'two products; the answers are cached' },
      { get: product(otherSku ?? OTHER_SKU) },
      { send, note: `a purchase of ${QUANTITY} of the first one; 201 says that it is stored` },
      { get: product(sku), note: `fresh, ${QUANTITY} more units: ${FRESH}` },
      { get: product(otherSku ?? OTHER_SKU), note: 'not touched by it: still a hit' },
      ...(otherSku === undefined
        ? []
        : [{ get: recommendations, note: 'recommendations, which the purchase changes as well' }]),
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
const FRESH = 'Cache-Status says fwd=stale, or hit where it was filled ahead';
/** What the lines to try are about in a shop without purchases. */
const OTHER_SKU = 'TRY-2';
const NOBODY_YET = { customer: 'try-customer', sku: 'TRY-1', otherSku: undefined };

function purchaseOf(customerId: string, sku: string) {
  const line = { invoice: 'TRY1', sku, quantity: QUANTITY, unitPrice: 9.5, customerId };
  return { type: 'shop.purchase.v1', data: { ...line, country: 'United Kingdom' } };
}

function product(sku: string): string {
  return `/v1/products/${encodeURIComponent(sku)}`;
}

/** The customer with most of the newest purchases, the product of their last one, and another product. */
async function busyCustomer(
  query: Query,
): Promise<{ customer: string; sku: string; otherSku: string | undefined }> {
  const [row] = await query(`
    select customer_id, (array_agg(sku order by occurred_at desc))[1] as sku,
      (select min(sku) from products) as first_sku, (select max(sku) from products) as last_sku
    from (select * from purchases where customer_id is not null order by occurred_at desc limit 500) recent
    group by customer_id order by count(*) desc, customer_id limit 1`);
  if (row === undefined) return NOBODY_YET;
  const sku = String(row['sku']);
  const otherSku = [row['first_sku'], row['last_sku']].map(String).find((other) => other !== sku);
  return { customer: String(row['customer_id']), sku, otherSku };
}

function unitsSold(body: unknown): number {
  return Number(fieldOf(fieldOf(body, 'sold'), 'units'));
}

function fieldOf(body: unknown, name: string): unknown {
  return Reflect.get(Object(body), name);
}
