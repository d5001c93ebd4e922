import { env } from 'cloudflare:workers';
import { beforeAll, expect, it, vi } from 'vitest';
import type { EventsMessage } from '../../queues/events/message.ts';
import type { Env } from '../../src/composition/env.ts';
import { enqueueEvents } from '../../src/composition/queueing.ts';
import { identityHash } from '../../src/pipeline/identity.ts';
import type { QueueItem } from '../../src/pipeline/ingest.ts';

const OBJECTS = ['0', '1', '2', '3'];
const START_MS = 60_000;

const has = async (id: string) => {
  const hash = identityHash('/q', id);
  return (await Promise.all(OBJECTS.map((name) => env.QUEUED_EVENTS.getByName(name).has(hash)))).includes(
    true,
  );
};

// The first call of an object loads its code.
beforeAll(async () => void (await has('start')), START_MS);

const refused = (id: string, filler = ''): QueueItem => ({
  refused: { raw: { source: '/q', id, filler }, reason: 'invalid_event', pointer: '', detail: 'A test.' },
});

/** The bindings with a queue that counts what it is sent, and objects that count their calls. */
function counted(takes: () => Promise<void> = async () => undefined) {
  const messages: EventsMessage[] = [];
  const notes: string[] = [];
  const EVENTS = {
    sendBatch: async (batch: Iterable<{ body: EventsMessage }>) => {
      await takes();
      messages.push(...[...batch].map(({ body }) => body));
    },
  };
  const QUEUED_EVENTS = new Proxy(env.QUEUED_EVENTS, {
    get: (target, method) => {
      if (method !== 'getByName') return Reflect.get(target, method);
      return (name: string) => {
        notes.push(name);
        return target.getByName(name);
      };
    },
  });
  const bindings: Env = Object.assign(Object.create(env), { EVENTS, QUEUED_EVENTS });
  const kept: Promise<unknown>[] = [];
  const send = (items: readonly QueueItem[]) =>
    enqueueEvents(bindings, items, 1_000, 'live', (work) => void kept.push(work));
  return { messages, notes, kept, send };
}

it('sends 50 single events at once as few messages, and notes each by one call', async () => {
  const { messages, notes, kept, send } = counted();
  await Promise.all(Array.from({ length: 50 }, (_, index) => send([refused(`many-${index}`)])));
  // One message, unless the machine is so slow that the time of a group is over before the last event comes.
  expect(messages.reduce((sum, message) => sum + message.refused.length, 0)).toBe(50);
  expect(messages.length).toBeLessThan(10);
  expect(notes).toHaveLength(messages.length);
  await Promise.all(kept);
  for (const index of [0, 49]) await vi.waitFor(async () => expect(await has(`many-${index}`)).toBe(true));
});

it('does not group the events of a large request, nor more than a message has', async () => {
  const { messages, send } = counted();
  const large = Array.from({ length: 11 }, (_, index) => refused(`large-${index}`));
  const wide = 'x'.repeat(60_000);
  await Promise.all([send(large), ...['a', 'b', 'c'].map((id) => send([refused(id, wide)]))]);
  expect(messages.map((message) => message.refused.length).sort()).toEqual([1, 1, 1, 11]);
});

it('answers no request of a group that the queue refused, and the next ones as usual', async () => {
  const failing = counted(() => Promise.reject(new Error('The queue is down.')));
  const results = await Promise.allSettled(['d', 'e'].map((id) => failing.send([refused(id)])));
  const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'taken'));
  expect(codes).toEqual(['queue_unavailable', 'queue_unavailable']);
  const working = counted();
  await working.send([refused('f')]);
  expect(working.messages).toHaveLength(1);
});
