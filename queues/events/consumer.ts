import { log } from '../../src/platform/logger.ts';
import { type BatchPorts, handleBatch } from '../batch.ts';
import { EventsMessage, halvesOfEvents } from './message.ts';

export interface EventsPorts extends BatchPorts<EventsMessage> {
  /** Stores the events of all messages, or fails. Safe to repeat. */
  readonly store: (messages: readonly EventsMessage[]) => Promise<unknown>;
  /**
   * Relays every change of the consumer's lane that was committed before the call. The bulk consumer relays all that is
   * pending, so its changes cannot pile up in the outbox.
   */
  readonly sweepOutbox: () => Promise<unknown>;
  /** Returns once the relay is sure to sweep soon. */
  readonly armRelay: () => Promise<void>;
}

/** Stores events of one lane and relays their changes at once. */
export async function consumeEvents(batch: MessageBatch, ports: EventsPorts): Promise<void> {
  const topic = { schema: EventsMessage, handle: ports.store, halves: halvesOfEvents };
  await handleBatch(batch, { ...topic, finish: () => relay(ports) }, ports);
}

/** The stored changes are in the outbox, so a failing relay retries no message once its own next sweep is certain. */
async function relay({ sweepOutbox, armRelay }: EventsPorts): Promise<void> {
  try {
    await sweepOutbox();
  } catch (error) {
    log(
      'warn',
      'Stored events could not be relayed at once. The alarm of the relay relays them.',
      { 'event.action': 'queue' },
      error,
    );
    await armRelay();
  }
}
