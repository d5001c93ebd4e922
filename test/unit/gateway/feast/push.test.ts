import { expect, it } from 'vitest';
import { type DataFrame, pushedEvents } from '../../../../src/gateway/feast/push.ts';
import { sha256Hex } from '../../../../src/platform/digest.ts';
import { catalog } from '../../../support/catalog/index.ts';

const pushed = (df: DataFrame, source = 'shop.purchase') =>
  pushedEvents(source, df, catalog.eventTypes, { digest: sha256Hex, pointer: '/x' });
const row = { sku: ['A'], event_timestamp: ['2026-01-01T00:00:00'] };

it('makes an event of each row, of the current version of a type that is named without one', async () => {
  const events = await pushed({
    sku: { 0: 'A', 7: 'B' },
    event_id: ['e1', 2],
    created: [null, null],
    event_timestamp: ['2026-01-01 00:00:00.250', '2026-01-01T02:00:00+01:00'],
  });
  const common = { specversion: '1.0', type: 'shop.purchase.v1', source: '/feast/push/shop.purchase' };
  expect(events).toEqual([
    { ...common, id: 'e1', time: '2026-01-01T00:00:00.250Z', data: { sku: 'A' } },
    { ...common, id: '2', time: '2026-01-01T02:00:00+01:00', data: { sku: 'B' } },
  ]);
});

it('gives equal rows one id, in whatever order their columns are, and others another', async () => {
  const idOf = async (df: DataFrame) => (await pushed(df)).map((event) => Reflect.get(event, 'id'))[0];
  const id = await idOf(row);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(await idOf({ event_timestamp: row.event_timestamp, sku: row.sku, created: ['x'] })).toBe(id);
  expect(await idOf({ ...row, sku: ['B'] })).not.toBe(id);
  expect(await idOf({ ...row, event_timestamp: ['2026-01-01T00:00:01'] })).not.toBe(id);
});

it('takes at most a thousand rows', async () => {
  const times = Array.from({ length: 1_001 }, () => '2026-01-01T00:00:00');
  await expect(pushed({ event_timestamp: times })).rejects.toMatchObject({ code: 'too_many_events' });
});
