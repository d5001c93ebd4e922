import { describe, expect, it } from 'vitest';
import type { ChangesMessage } from '../../../queues/changes/message.ts';
import { publishAgain, publishChanges } from '../../../src/pipeline/publish.ts';

const AT = { epoch: 'e', seq: 7 };
const ENTITIES = new Set(['product', 'customer']);
const event = (seq: number, type = 'shop.purchase.v2') => ({ seq, type, occurredAt: seq * 1_000, data: {} });

function queue() {
  const sent: ChangesMessage[] = [];
  const sendBatch = async (messages: Iterable<{ body: ChangesMessage }>) =>
    void sent.push(...[...messages].map(({ body }) => body));
  return { sent, queue: { sendBatch } };
}

describe('published changes', () => {
  it('exist with and without an event', async () => {
    const { sent, queue: to } = queue();
    const pending = [
      { outboxId: 1, tags: ['product:A', 'order@product:A', 'other:B'], event: event(5) },
      { outboxId: 2, tags: ['customer:1'], event: null },
    ];
    await publishChanges(to, pending, AT, ENTITIES);
    expect(sent).toEqual([
      {
        v: 1,
        events: [event(5)],
        changes: [
          {
            change: 1,
            type: 'shop.purchase.v2',
            time: '1970-01-01T00:00:05.000Z',
            entities: ['product:A'],
            token: 'e.7',
          },
          { change: 2, type: 'row', entities: ['customer:1'], token: 'e.7' },
        ],
      },
    ]);
  });

  it('keep their number and their type in a replay, and are marked', async () => {
    const { sent, queue: to } = queue();
    const relayed = new Map([[6, { outboxId: 60, type: 'shop.purchase.v1', tags: ['customer:1'] }]]);
    await publishAgain(to, [event(5), event(6)], relayed, AT, ENTITIES);
    expect(sent).toEqual([
      {
        v: 1,
        events: [event(5), event(6)],
        // The first has no outbox row any more.
        changes: [
          {
            change: 60,
            type: 'shop.purchase.v1',
            time: '1970-01-01T00:00:06.000Z',
            entities: ['customer:1'],
            replayed: true,
            token: 'e.7',
          },
        ],
      },
    ]);
  });
});
