/** When the tests judge events, milliseconds since the Unix epoch. */
export const NOW = Date.UTC(2026, 10, 23, 12);

/** The data of a purchase that is accepted. */
export const line = {
  invoice: '489434',
  sku: '85123A',
  description: 'A heart',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
};

export function eventOf(data: object, attributes: object = {}): Record<string, unknown> {
  return { specversion: '1.0', id: '1', source: '/test', type: 'shop.purchase.v1', data, ...attributes };
}
