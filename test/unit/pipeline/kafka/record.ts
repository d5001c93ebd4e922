import type { KafkaRecord } from '../../../../src/storage/kafka.ts';

export const record = (over: Partial<KafkaRecord> = {}): KafkaRecord => ({
  topic: 't',
  partition: 0,
  offset: 0,
  key: null,
  value: null,
  headers: [],
  ...over,
});

export const event = (id: string) => ({
  specversion: '1.0',
  id,
  source: '/kafka',
  type: 'shop.purchase.v1',
  time: '2026-11-01T00:00:00Z',
  data: { invoice: '1', sku: 'A', quantity: 1, unitPrice: 1, country: 'France' },
});
