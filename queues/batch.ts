import type * as z from 'zod';
import { CallBudget, type FailedPart, settle, type Verdict } from '../src/pipeline/verdicts.ts';
import { reasonOf } from '../src/platform/failure.ts';
import {
  QUEUE_CONSUMER_MESSAGES_MAX,
  QUEUE_MESSAGE_BYTES_MAX,
  QUEUE_RETRIES_MAX,
} from '../src/platform/limits.ts';
import { log } from '../src/platform/logger.ts';
import { packBySize, sized } from '../src/platform/pack.ts';
import { callPeer, QUEUE_SEND_MS } from '../src/platform/peer.ts';

/**
 * Bytes of messages that are handled together: the events of some thousands, or as many single events as a batch has. The
 * parsed form, the judged events and the statements made of them take several times as much.
 */
export const GROUP_BYTES_MAX = 5 * QUEUE_MESSAGE_BYTES_MAX;
const RETRY_DELAY_S_MAX = 600;
/** A message that fails this often, while everything that its handler needs is available, becomes a dead letter. */
export const TRIES_MAX = 5;
/** Seconds before the second try. Each later pause is four times as long, so the last try is seven minutes later. */
const FIRST_TRY_DELAY_S = 5;
/** Attempts after which a message is sent anew: before the platform gives it up, which takes some 15 hours of an outage. */
const RENEW_ATTEMPTS = QUEUE_RETRIES_MAX - 10;

/** A message that carries the number of its own failures. A failure during an outage does not count. */
interface Tried {
  readonly tries?: number | undefined;
}

/** A message that cannot be handled, and why. */
export interface DeadLetter {
  readonly message: unknown;
  readonly detail: string;
}

/** What every consumer needs beside the ports of its own topic. */
export interface BatchPorts<Body> {
  /** The topic's own queue. */
  readonly queue: Pick<Queue<Body>, 'send' | 'sendBatch'>;
  /** Returns once the letters are in the database. */
  readonly keepDead: (letters: readonly DeadLetter[]) => Promise<void>;
  /** Whether an error shows that a dependency is unavailable, so that the message is not at fault. */
  readonly isOutage: (error: unknown) => boolean;
  /** Fails where a dependency of the handler is unavailable. */
  readonly probe: () => Promise<unknown>;
}

export interface Topic<Body extends Tried> {
  readonly schema: z.ZodType<Body>;
  /** Handles all messages or fails. Safe to repeat. */
  readonly handle: (messages: readonly Body[]) => Promise<unknown>;
  /** Splits a message in two; undefined where it holds a single item. */
  readonly halves: (message: Body) => readonly [Body, Body] | undefined;
  /** Runs once after a group of which something was handled. Where it fails, the whole group is retried. */
  readonly finish?: () => Promise<void>;
}

/**
 * Handles a batch in groups of bounded size and decides for each message: acknowledge it, retry it because a dependency is
 * unavailable, or send only its failing items again, with their count of tries. After `TRIES_MAX` tries an item becomes
 * a dead letter. A crash repeats what was not acknowledged, so handlers are idempotent.
 *
 * A group is finished while the next one is handled, because both wait for the database most of the time. At most two
 * groups are under way, so the memory of a batch is bounded, and groups finish in their order.
 */
export async function handleBatch<Body extends Tried>(
  batch: MessageBatch,
  topic: Topic<Body>,
  ports: BatchPorts<Body>,
): Promise<void> {
  const budget = new CallBudget();
  const messages = batch.messages.map((message) => ({ item: message, bytes: sized(message.body).bytes }));
  let finishing = Promise.resolve();
  for (const { item } of packBySize(messages, GROUP_BYTES_MAX, QUEUE_CONSUMER_MESSAGES_MAX)) {
    const handling = handleGroup(item, batch.queue, topic, ports, budget);
    // Both have settled before either may throw, so neither is left running.
    await Promise.allSettled([handling, finishing]);
    await finishing;
    finishing = finishGroup(await handling, batch.queue, topic, ports);
  }
  await finishing;
}

/** A message that matches its schema, with the verdict on it. */
interface Handled<Body> {
  readonly message: Message;
  readonly verdict: Verdict<Body>;
}

async function handleGroup<Body extends Tried>(
  messages: readonly Message[],
  queue: string,
  topic: Topic<Body>,
  ports: BatchPorts<Body>,
  budget: CallBudget,
): Promise<Handled<Body>[]> {
  const valid: { message: Message; body: Body }[] = [];
  for (const message of messages) {
    const parsed = topic.schema.safeParse(message.body);
    if (parsed.success) valid.push({ message, body: parsed.data });
    else await refuse(message, queue, ports, parsed.error);
  }
  if (valid.length === 0) return [];
  const verdicts = await settle(
    valid.map(({ body }) => body),
    {
      handle: async (messages) => void (await topic.handle(messages)),
      halves: topic.halves,
      probe: ports.probe,
      isOutage: ports.isOutage,
    },
    budget,
  );
  return valid.map(({ message }, index) => ({
    message,
    verdict: verdicts[index] ?? { kind: 'outage', error: undefined },
  }));
}

/** Runs the topic's `finish`, and then does with each message what its verdict says. */
async function finishGroup<Body extends Tried>(
  handled: readonly Handled<Body>[],
  queue: string,
  topic: Topic<Body>,
  ports: BatchPorts<Body>,
): Promise<void> {
  for (const { message, verdict } of await finish(topic, handled)) {
    try {
      if (verdict.kind === 'outage') throw verdict.error;
      if (verdict.kind === 'failed') await tryAgainOrKeep(verdict.parts, queue, topic, ports);
      message.ack();
    } catch (error) {
      const fields = { 'event.action': 'queue', 'millrace.queue': queue, 'millrace.message.id': message.id };
      log('warn', 'A message could not be handled. It is retried later.', fields, error);
      await retryLater(message, ports.queue);
    }
  }
}

/**
 * Retries a message after a growing delay. Before the platform's own count of retries ends it, the message is sent
 * anew, so an outage of any length loses nothing.
 */
export async function retryLater(message: Message, queue: Pick<Queue<unknown>, 'send'>): Promise<void> {
  const delaySeconds = Math.min(RETRY_DELAY_S_MAX, 2 ** Math.min(message.attempts, 10));
  try {
    if (message.attempts < RENEW_ATTEMPTS) return message.retry({ delaySeconds });
    const send = () => queue.send(message.body, { contentType: 'json', delaySeconds });
    await callPeer('queue', QUEUE_SEND_MS, send);
    message.ack();
  } catch {
    message.retry({ delaySeconds });
  }
}

async function finish<Body extends Tried>(
  topic: Topic<Body>,
  handled: readonly Handled<Body>[],
): Promise<readonly Handled<Body>[]> {
  if (topic.finish === undefined || handled.every(({ verdict }) => verdict.kind === 'outage')) return handled;
  try {
    await topic.finish();
    return handled;
  } catch (error) {
    return handled.map(({ message }) => ({ message, verdict: { kind: 'outage', error } }));
  }
}

/**
 * Sends the failing parts again, so that the message they came from can be acknowledged. A crash in between sends them
 * twice.
 */
async function tryAgainOrKeep<Body extends Tried>(
  parts: readonly FailedPart<Body>[],
  name: string,
  topic: Topic<Body>,
  ports: BatchPorts<Body>,
): Promise<void> {
  const again: MessageSendRequest<Body>[] = [];
  for (const { message, error } of parts) {
    // A part that can still be halved may hold items that are not at fault, so its failure does not count as a try.
    const tries = (message.tries ?? 0) + (topic.halves(message) === undefined ? 1 : 0);
    const fields = { 'event.action': 'queue', 'millrace.queue': name, 'millrace.message.tries': tries };
    log(
      'error',
      'A part of a message fails although all dependencies are available. It is retried, and kept as a dead letter after the last try.',
      fields,
      error,
    );
    if (tries >= TRIES_MAX) await ports.keepDead([{ message, detail: reasonOf(error) }]);
    else {
      const delaySeconds = FIRST_TRY_DELAY_S * 4 ** Math.max(0, tries - 1);
      again.push({ body: { ...message, tries }, contentType: 'json', delaySeconds });
    }
  }
  if (again.length === 0) return;
  await callPeer('queue', QUEUE_SEND_MS, () => ports.queue.sendBatch(again));
}

/** Retries a body that does not match the schema: another version of the worker may be about to be deployed. */
async function refuse<Body>(
  message: Message,
  queue: string,
  { keepDead }: BatchPorts<Body>,
  error: z.ZodError,
): Promise<void> {
  const [issue] = error.issues;
  const detail = `The message does not match the schema of ${queue}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
  log('error', 'A message does not match the schema of its queue.', {
    'event.action': 'queue',
    'millrace.queue': queue,
    'millrace.message.id': message.id,
  });
  const delaySeconds = FIRST_TRY_DELAY_S * 4 ** Math.min(message.attempts - 1, TRIES_MAX);
  if (message.attempts < TRIES_MAX) return message.retry({ delaySeconds });
  try {
    await keepDead([{ message: message.body, detail }]);
    message.ack();
  } catch (failure) {
    log(
      'error',
      'A dead letter could not be stored. Its message is retried later.',
      { 'event.action': 'dead-letter' },
      failure,
    );
    message.retry({ delaySeconds: RETRY_DELAY_S_MAX });
  }
}
