import * as z from 'zod';
import { FeedChange } from '../../src/pipeline/feed/change.ts';

/** A chunk of changes that are to be written to Kafka. */
export const SinkMessage = z.object({
  v: z.literal(1),
  /** How often the message has failed while all its dependencies were available. */
  tries: z.int().min(0).optional(),
  sink: z.array(FeedChange),
});
export type SinkMessage = z.output<typeof SinkMessage>;

/** A message in two, each with a half of its changes; undefined where it holds one at most. */
export function halvesOfSink(message: SinkMessage): readonly [SinkMessage, SinkMessage] | undefined {
  const { sink } = message;
  const half = Math.ceil(sink.length / 2);
  if (sink.length <= 1) return undefined;
  return [
    { ...message, sink: sink.slice(0, half) },
    { ...message, sink: sink.slice(half) },
  ];
}
