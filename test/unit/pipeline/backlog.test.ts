import { expect, it } from 'vitest';
import { Backlog } from '../../../src/pipeline/backlog.ts';

const message = { v: 1, accepted: [{}, {}], refused: [{}] };

it('counts items from their sending to their acknowledgement', async () => {
  const backlog = new Backlog();
  await backlog.sending('events', [message, message], async () => {
    expect(backlog.items.events).toBe(6);
  });
  backlog.acknowledged('events', message);
  expect(backlog.items).toEqual({ events: 3, changes: 0, sink: 0 });
  backlog.acknowledged('events', message);
  expect(backlog.items.events).toBe(0);
});

it('does not count items that were not sent', async () => {
  const backlog = new Backlog();
  const failing = backlog.sending('events', [message], async () => Promise.reject(new Error('full')));
  await expect(failing).rejects.toThrow('full');
  expect(backlog.items.events).toBe(0);
});

it('counts a change once, with and without its event', async () => {
  const backlog = new Backlog();
  await backlog.sending('changes', [{ events: [{}], changes: [{}, {}] }], async () => undefined);
  expect(backlog.items.changes).toBe(2);
});
