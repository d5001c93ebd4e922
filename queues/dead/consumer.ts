import { log } from '../../src/platform/logger.ts';
import { type BatchPorts, retryLater } from '../batch.ts';

const DETAIL = 'The platform gave this message up after its last retry. It is kept as a dead letter.';

/** Keeps the messages that the platform gave up in quarantine, each as a whole, under the reason `dead_letter`. */
export async function consumeDead(
  batch: MessageBatch,
  { keepDead, queue }: Pick<BatchPorts<unknown>, 'keepDead' | 'queue'>,
): Promise<void> {
  for (const message of batch.messages) {
    try {
      await keepDead([{ message: message.body, detail: DETAIL }]);
      message.ack();
    } catch (error) {
      log(
        'error',
        'A dead letter could not be stored. Its message is retried later.',
        { 'event.action': 'dead-letter' },
        error,
      );
      await retryLater(message, queue);
    }
  }
}
