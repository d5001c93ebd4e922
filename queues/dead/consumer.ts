import { sha256Hex } from '../../src/platform/digest.ts';
import { log } from '../../src/platform/logger.ts';
import type { Services } from '../../src/services.ts';
import { DEAD_LETTER, keepRefused } from '../../src/storage/postgres/quarantine.ts';

/** Keeps what no consumer could handle, as a whole message, in quarantine under the reason `dead_letter`. */
export async function consumeDead(batch: MessageBatch, services: Services): Promise<void> {
  for (const message of batch.messages) {
    try {
      await keepRefused(services.db, [
        {
          fingerprint: await sha256Hex(JSON.stringify([DEAD_LETTER, message.body])),
          source: null,
          eventId: null,
          type: null,
          reason: DEAD_LETTER,
          pointer: '',
          detail: 'No consumer could handle this message within its tries.',
          raw: message.body,
        },
      ]);
      message.ack();
    } catch (error) {
      log('error', 'A dead letter could not be kept yet.', { 'event.action': 'dead-letter' }, error);
      message.retry({ delaySeconds: 600 });
    }
  }
}
