import { expect, it } from 'vitest';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { identityOf } from '../../../src/pipeline/identity.ts';
import { eventsMessage } from '../../../src/pipeline/ingest.ts';
import { SHARED_EVENTS_MAX, type StoredEvents, storeShared } from '../../../src/pipeline/shared-storing.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { GroupCommit } from '../../../src/platform/group-commit.ts';

const event = (id: string) => ({
  ...{ source: '/s', id, type: 'sold', subject: null, time: '2026-11-23T00:00:00.000Z', data: {} },
});
const messageOf = (...ids: string[]) =>
  eventsMessage(
    ids.map((id) => ({ accepted: event(id) })),
    0,
  );
const idsOf = (messages: readonly EventsMessage[]) =>
  messages.map(({ accepted }) => accepted.map(({ id }) => id).join(' '));
const refusalOf = (id: string) => ({
  event: { ...event(id), effects: [], tags: [] },
  ...({ reason: 'storage_refused', pointer: '/data', detail: 'Refused.' } as const),
});

/** Requests at the same time, behind a first one that is in progress until the others have begun. */
async function together(
  messages: readonly EventsMessage[],
  store: (messages: readonly EventsMessage[]) => Promise<StoredEvents>,
) {
  const groups = new GroupCommit<EventsMessage, StoredEvents>({
    ...{ items: 100, bytes: 100_000, gatherMs: 5_000, waitMs: 5_000 },
  });
  const first = Promise.withResolvers<void>();
  const stored: string[][] = [];
  const ports = {
    keepAlive: () => undefined,
    store: async (group: readonly EventsMessage[]) => {
      stored.push(idsOf(group));
      if (stored.length === 1) {
        await first.promise;
        return { outcome: { duplicates: [], conflicts: [], refused: [] }, token: 'e.0' };
      }
      return await store(group);
    },
  };
  const before = storeShared(messageOf('first'), groups, ports);
  await new Promise((resolve) => setImmediate(resolve));
  const results = messages.map((message) => storeShared(message, groups, ports));
  first.resolve();
  await before;
  return { settled: await Promise.allSettled(results), stored: stored.slice(1) };
}

it('stores the events of several requests together, and returns to each what became of its own', async () => {
  const outcome = {
    duplicates: [{ source: '/s', id: '1' }],
    conflicts: [{ source: '/s', id: '3' }],
    refused: [refusalOf('4')],
  };
  const store = async () => ({ outcome, token: 'e.7' });
  const { settled, stored } = await together(
    [messageOf('1', '2'), messageOf('3'), messageOf('4'), messageOf('5')],
    store,
  );
  expect(stored).toEqual([['1 2', '3', '4', '5']]);
  const results = settled.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  expect(results.map((result) => result?.token)).toEqual(Array(4).fill('e.7'));
  expect(
    results.map((result) => [
      result?.outcome.duplicates.map(({ id }) => id),
      result?.outcome.conflicts.map(({ id }) => id),
      result?.outcome.refused.map((refused) => refused.event.id),
    ]),
  ).toEqual([
    [['1'], [], []],
    [[], ['3'], []],
    [[], [], ['4']],
    [[], [], []],
  ]);
});

it('stores the same event of two requests in two transactions, so that the database names the duplicate', async () => {
  const known = new Set<string>();
  const store = async (messages: readonly EventsMessage[]) => {
    const sent = messages.flatMap(({ accepted }) => accepted);
    const duplicates = sent.filter((one) => known.has(identityOf(one)));
    for (const one of sent) known.add(identityOf(one));
    return { outcome: { duplicates, conflicts: [], refused: [] }, token: undefined };
  };
  const { settled, stored } = await together([messageOf('1'), messageOf('1', '2'), messageOf('3')], store);
  expect(stored).toEqual([['1'], ['1 2', '3']]);
  expect(
    settled.map((result) =>
      result.status === 'fulfilled' ? result.value.outcome.duplicates.map(({ id }) => id) : result.reason,
    ),
  ).toEqual([[], ['1'], []]);
});

it('stores each request alone after a group failed for another reason than an outage', async () => {
  const store = async (messages: readonly EventsMessage[]) => {
    if (idsOf(messages).includes('bad')) throw new Error('a bug');
    return { outcome: { duplicates: [], conflicts: [], refused: [] }, token: 'e.1' };
  };
  const { settled, stored } = await together([messageOf('1'), messageOf('bad'), messageOf('2')], store);
  expect(stored).toEqual([['1', 'bad', '2'], ['1'], ['bad'], ['2']]);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

it.each(['database_unavailable', 'relay_unavailable'] as const)(
  'fails all requests of a group with %s, and does not try each of them again',
  async (code) => {
    const { settled, stored } = await together([messageOf('1'), messageOf('2')], async () => {
      throw new Failure(code, 'away');
    });
    expect(stored).toEqual([['1', '2']]);
    expect(settled.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([code, code]);
  },
);

it('does not store a request again that failed alone, and lets a large one store alone', async () => {
  const ids = Array.from({ length: SHARED_EVENTS_MAX + 1 }, (_, index) => String(index));
  const { settled, stored } = await together([messageOf(...ids), messageOf('bad')], async (messages) => {
    if (idsOf(messages).includes('bad')) throw new Error('a bug');
    return { outcome: { duplicates: [], conflicts: [], refused: [] }, token: 'e.1' };
  });
  expect(stored).toEqual([[ids.join(' ')], ['bad']]);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});
