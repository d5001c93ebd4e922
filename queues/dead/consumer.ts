import { log } from '../../src/platform/logger.ts';
import { type BatchPorts, retryLater } from '../batch.ts';

const DETAIL = 'No consumer could handle this message within its tries.';

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
      log('error', 'A dead letter could not be kept yet.', { 'event.action': 'dead-letter' }, error);
      await retryLater(message, queue);
    }
  }
}
