import type * as z from 'zod';
import { log } from '../src/platform/logger.ts';

const RETRY_DELAY_S_MAX = 600;

/**
 * Handles a batch as one piece of work: all of it, or all of it again. Consumers are idempotent, so what was
 * done before a failure is done twice at most. A body that is not of the schema can never be handled: it is
 * retried without delay until the platform puts it on the dead-letter queue, where it is kept.
 */
export async function handleBatch<Schema extends z.ZodType>(
  batch: MessageBatch,
  schema: Schema,
  handle: (messages: z.output<Schema>[]) => Promise<void>,
): Promise<void> {
  const valid: { message: Message; body: z.output<Schema> }[] = [];
  for (const message of batch.messages) {
    const parsed = schema.safeParse(message.body);
    if (parsed.success) valid.push({ message, body: parsed.data });
    else {
      log('error', 'A message is not of its schema.', { 'event.action': 'queue', 'message.id': message.id });
      message.retry();
    }
  }
  if (valid.length === 0) return;
  try {
    await handle(valid.map(({ body }) => body));
    for (const { message } of valid) message.ack();
  } catch (error) {
    log(
      'warn',
      'A batch failed and is tried again.',
      { 'event.action': 'queue', 'queue.name': batch.queue },
      error,
    );
    for (const { message } of valid) {
      message.retry({ delaySeconds: Math.min(RETRY_DELAY_S_MAX, 2 ** Math.min(message.attempts, 10)) });
    }
  }
}
