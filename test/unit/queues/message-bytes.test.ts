import { expect, it } from 'vitest';
import { MESSAGE_BYTES } from '../../../bench/cost/counted.ts';
import type { ChangesMessage } from '../../../queues/changes/message.ts';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { eventsMessage, ingest } from '../../../src/pipeline/ingest.ts';
import { publishChanges } from '../../../src/pipeline/publish.ts';
import { catalog } from '../../support/catalog/index.ts';
import { eventOf, line, NOW } from '../pipeline/purchases.ts';

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).byteLength;

/** What `count` events add to their own bytes in a message of the events queue, and in one of the changes queue. */
async function overheadOf(count: number): Promise<{ events: number; changes: number }> {
  const raw = Array.from({ length: count }, (_, index) => eventOf(line, { id: String(1_000 + index) }));
  let taken: EventsMessage | undefined;
  await ingest(raw, NOW, {
    types: catalog.eventTypes,
    take: async (items, receivedAt) => {
      taken = eventsMessage(items, receivedAt);
      return { duplicates: [], conflicts: [], refused: [] };
    },
  });
  const accepted = taken?.accepted ?? [];
  const sent: ChangesMessage[] = [];
  const queue = {
    sendBatch: async (messages: Iterable<{ body: ChangesMessage }>) =>
      void sent.push(...[...messages].map(({ body }) => body)),
  };
  const pending = accepted.map(({ type, data }, index) => ({
    outboxId: 1e9 + index,
    tags: ['product:85048', 'purchases@product:85048', 'customer:13085', 'purchases@customer:13085'],
    event: { seq: 1e9 + index, type, occurredAt: NOW, data },
  }));
  const at = { epoch: crypto.randomUUID(), seq: 1e9 };
  await publishChanges(queue, pending, at, new Set(['product', 'customer']));
  return {
    events: bytesOf(taken) - bytesOf(raw),
    changes: bytesOf(sent) - bytesOf(accepted.map(({ data }) => data)),
  };
}

it('adds bounded bytes to an event in each of its two messages', async () => {
  const { frame, event, change } = MESSAGE_BYTES;
  for (const count of [1, 100]) {
    const { events, changes } = await overheadOf(count);
    expect(events).toBeLessThanOrEqual(frame + count * event);
    expect(changes).toBeLessThanOrEqual(count * change);
  }
});
