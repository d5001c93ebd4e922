import { expect, it } from 'vitest';
import type { EventDefinition } from '../../../src/define/event.ts';
import { acceptance, type QueueItem, type TakePorts } from '../../../src/pipeline/ingest.ts';
import { Failure } from '../../../src/platform/failure.ts';

const item = (type: string): QueueItem => ({
  accepted: { source: '/s', id: '1', type, subject: null, time: '2026-11-23T00:00:00.000Z', data: {} },
});
const away = () => new Failure('database_unavailable', 'away');

function portsOf(over: Partial<TakePorts> = {}) {
  const queued: QueueItem[] = [];
  const definition = (acknowledged: EventDefinition['acknowledged']) => ({ acknowledged }) as EventDefinition;
  const ports: TakePorts = {
    types: new Map([
      ['plain', definition('queued')],
      ['order', definition('stored')],
    ]),
    enqueue: async (items) => void queued.push(...items),
    store: async () => ({ outcome: { duplicates: [], conflicts: [], refused: [] }, token: 'e.1' }),
    ...over,
  };
  return { queued, ports };
}

it('enqueues events unless the request or a type asks for storing', async () => {
  const { queued, ports } = portsOf();
  const plain = acceptance(false, ports);
  await plain.take([item('plain')], 0);
  expect([queued.length, plain.token()]).toEqual([1, undefined]);
  for (const [wanted, type] of [
    [true, 'plain'],
    [false, 'order'],
  ] as const) {
    const stored = acceptance(wanted, ports);
    await stored.take([item(type)], 0);
    expect([queued.length, stored.token()]).toEqual([1, 'e.1']);
  }
});

it('enqueues events that only the request asked to store, while the database is unavailable', async () => {
  const { queued, ports } = portsOf({ store: () => Promise.reject(away()) });
  const wanted = acceptance(true, ports);
  await wanted.take([item('plain')], 0);
  expect([queued.length, wanted.token()]).toEqual([1, undefined]);
  await expect(acceptance(false, ports).take([item('order')], 0)).rejects.toThrow('away');
  expect(queued).toHaveLength(1);
});

it('does not hide a bug behind the queue', async () => {
  const { queued, ports } = portsOf({ store: () => Promise.reject(new Error('a bug')) });
  await expect(acceptance(true, ports).take([item('plain')], 0)).rejects.toThrow('a bug');
  expect(queued).toEqual([]);
});

it('returns the duplicates, the conflicts, and the events that the database refused', async () => {
  const known = { source: '/s', id: '1' };
  const outcome = { duplicates: [known], conflicts: [{ source: '/s', id: '2' }], refused: [] };
  const { ports } = portsOf({ store: async () => ({ outcome, token: 'e.2' }) });
  const taken = await acceptance(true, ports).take([item('plain')], 0);
  expect(taken).toEqual(outcome);
});
