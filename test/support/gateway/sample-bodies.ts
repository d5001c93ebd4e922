/** An event of the fixture's catalog. */
export function purchase(id: string) {
  return {
    specversion: '1.0',
    id,
    source: '/matrix',
    type: 'shop.purchase.v1',
    data: {
      invoice: '1',
      sku: 'M1',
      description: 'A',
      quantity: 1,
      unitPrice: 2,
      customerId: 'M1',
      country: 'UK',
    },
  };
}

/** A data frame of one purchase, as Feast's clients push it. */
export function pushed(member: string) {
  const columns = Object.entries(purchase('pushed').data).map(([name, value]) => [name, [value]]);
  const df = { ...Object.fromEntries(columns), event_timestamp: ['2026-01-01T00:00:00'] };
  return { [member]: 'shop.purchase.v1', df };
}
