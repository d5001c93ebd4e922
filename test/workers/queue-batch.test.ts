import { expect, it } from 'vitest';
import * as z from 'zod';
import { handleBatch, type Topic } from '../../queues/batch.ts';
import { QUEUE_MESSAGE_BYTES_MAX } from '../../src/platform/limits.ts';

const Body = z.object({ tries: z.int().optional(), text: z.string() });
type Body = z.output<typeof Body>;

/** A batch of messages with these texts, and what became of each. */
function batchOf(texts: readonly string[]) {
  const acknowledged: number[] = [];
  const messages = texts.map((text, index) => ({
    id: String(index),
    timestamp: new Date(0),
    attempts: 1,
    body: { text },
    ack: () => void acknowledged.push(index),
    retry: () => undefined,
  }));
  const batch = { queue: 'q', messages, metadata: {}, ackAll: () => undefined, retryAll: () => undefined };
  return { batch: batch as unknown as MessageBatch, acknowledged };
}

async function handled(texts: readonly string[]) {
  const groups: number[] = [];
  const order: string[] = [];
  const topic: Topic<Body> = {
    schema: Body,
    handle: async (messages) => {
      groups.push(messages.length);
      order.push('handle');
    },
    halves: () => undefined,
    finish: async () => void order.push('finish'),
  };
  const { batch, acknowledged } = batchOf(texts);
  await handleBatch(batch, topic, {
    queue: { send: async () => ({}) as never, sendBatch: async () => ({}) as never },
    keepDead: async () => undefined,
    isOutage: () => false,
    probe: async () => undefined,
  });
  return { groups, order, acknowledged };
}

it('handles a hundred small messages in one call', async () => {
  const { groups, acknowledged } = await handled(Array.from({ length: 100 }, () => 'x'.repeat(500)));
  expect(groups).toEqual([100]);
  expect(acknowledged).toHaveLength(100);
});

it('handles a hundred of the largest messages in groups of a few, each finished before the next', async () => {
  const large = 'x'.repeat(QUEUE_MESSAGE_BYTES_MAX - 30);
  const { groups, order, acknowledged } = await handled(Array.from({ length: 100 }, () => large));
  expect(groups).toEqual(Array.from({ length: 20 }, () => 5));
  expect(order).toEqual(Array.from({ length: 20 }, () => ['handle', 'finish']).flat());
  expect(acknowledged).toEqual(Array.from({ length: 100 }, (_, index) => index));
});
