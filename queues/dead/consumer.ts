import type { Services } from '../../src/composition/services.ts';
import { log } from '../../src/platform/logger.ts';
import { comeAgain } from '../batch.ts';
import { keepDead } from './letters.ts';

const DETAIL = 'No consumer could handle this message within its tries.';

/** Keeps what no consumer could handle, as a whole message, in quarantine under the reason `dead_letter`. */
export async function consumeDead(batch: MessageBatch, services: Services): Promise<void> {
  for (const message of batch.messages) {
    try {
      await keepDead([{ message: message.body, detail: DETAIL }], services);
      message.ack();
    } catch (error) {
      log('error', 'A dead letter could not be kept yet.', { 'event.action': 'dead-letter' }, error);
      await comeAgain(message, services.env.DEAD);
    }
  }
}
