import type * as z from 'zod';
import type { Services } from '../src/composition/services.ts';
import { type FailedPart, settle, type Verdict } from '../src/pipeline/verdicts.ts';
import { log } from '../src/platform/logger.ts';
import { isOutage, reasonOf } from '../src/storage/outage.ts';
import { keepDead } from './dead/letters.ts';

const RETRY_DELAY_S_MAX = 600;
/** Failures of a message by itself, while what it needs is there, after which it is kept as a dead letter. */
export const TRIES_MAX = 5;
/** Seconds before the second try; each later one waits four times as long, so the last is seven minutes after. */
const FIRST_TRY_DELAY_S = 5;
/**
 * The platform gives a message up after 100 retries, some 15 hours of an outage, and deletes it four days after it
 * was sent. Before that it is sent anew, so that an outage ends no message, however long it lasts.
 */
const RENEW_ATTEMPTS = 90;

/** A message that tells how often it has failed by itself. What fails in an outage is not counted. */
interface Tried {
  readonly tries?: number | undefined;
}

export interface Topic<Body extends Tried> {
  readonly schema: z.ZodType<Body>;
  /** Handles all of them or fails; safe to repeat. */
  readonly handle: (messages: readonly Body[]) => Promise<unknown>;
  /** A message as two that hold the same together, or undefined where it holds a single item. */
  readonly halves: (message: Body) => readonly [Body, Body] | undefined;
  /** Fails where something that the handler needs is out of reach. */
  readonly probe: (services: Services) => Promise<unknown>;
  /** Follows once for a batch of which something was handled; where it fails, the batch is handled again. */
  readonly finish?: () => Promise<void>;
  /** The topic's own queue. */
  readonly queue: Queue<Body>;
}

/**
 * Handles a batch with a verdict for each message: done with; again, because something is away; or at fault by
 * itself, and then only the items at fault come again, with their count, and are kept as dead letters after
 * `TRIES_MAX` tries. A crash at any point repeats what was not acknowledged, and consumers are idempotent.
 */
export async function handleBatch<Body extends Tried>(
  batch: MessageBatch,
  services: Services,
  topic: Topic<Body>,
): Promise<void> {
  const valid: { message: Message; body: Body }[] = [];
  for (const message of batch.messages) {
    const parsed = topic.schema.safeParse(message.body);
    if (parsed.success) valid.push({ message, body: parsed.data });
    else await refuse(message, batch.queue, services, parsed.error);
  }
  if (valid.length === 0) return;
  const verdicts = await settle(
    valid.map(({ body }) => body),
    {
      handle: async (messages) => void (await topic.handle(messages)),
      halves: topic.halves,
      probe: () => topic.probe(services),
      isOutage,
    },
  );
  const finished = await finish(topic, verdicts);
  for (const [index, { message }] of valid.entries()) {
    const verdict = finished[index] ?? { kind: 'outage', error: undefined };
    try {
      if (verdict.kind === 'outage') throw verdict.error;
      if (verdict.kind === 'failed') await tryAgainOrKeep(verdict.parts, batch.queue, topic, services);
      message.ack();
    } catch (error) {
      const fields = { 'event.action': 'queue', 'queue.name': batch.queue, 'message.id': message.id };
      log('warn', 'A message could not be handled now and comes again.', fields, error);
      await comeAgain(message, topic.queue);
    }
  }
}

/** Has a message come again after what is away may be back; the platform's own count never ends it. */
export async function comeAgain(message: Message, queue: Queue<unknown>): Promise<void> {
  const delaySeconds = Math.min(RETRY_DELAY_S_MAX, 2 ** Math.min(message.attempts, 10));
  try {
    if (message.attempts < RENEW_ATTEMPTS) return message.retry({ delaySeconds });
    await queue.send(message.body, { contentType: 'json', delaySeconds });
    message.ack();
  } catch {
    message.retry({ delaySeconds });
  }
}

async function finish<Body extends Tried>(
  topic: Topic<Body>,
  verdicts: readonly Verdict<Body>[],
): Promise<readonly Verdict<Body>[]> {
  if (topic.finish === undefined || verdicts.every(({ kind }) => kind === 'outage')) return verdicts;
  try {
    await topic.finish();
    return verdicts;
  } catch (error) {
    return verdicts.map(() => ({ kind: 'outage', error }));
  }
}

/** Sent again as they are found, so that what they were found in is done with. A crash in between doubles them. */
async function tryAgainOrKeep<Body extends Tried>(
  parts: readonly FailedPart<Body>[],
  name: string,
  topic: Topic<Body>,
  services: Services,
): Promise<void> {
  const again: MessageSendRequest<Body>[] = [];
  for (const { message, error } of parts) {
    // A part that could be narrowed further may hold items that are not at fault.
    const tries = (message.tries ?? 0) + (topic.halves(message) === undefined ? 1 : 0);
    const fields = { 'event.action': 'queue', 'queue.name': name, 'message.tries': tries };
    log('error', 'A part of a message fails by itself.', fields, error);
    if (tries >= TRIES_MAX) await keepDead([{ message, detail: reasonOf(error) }], services);
    else {
      const delaySeconds = FIRST_TRY_DELAY_S * 4 ** Math.max(0, tries - 1);
      again.push({ body: { ...message, tries }, contentType: 'json', delaySeconds });
    }
  }
  if (again.length > 0) await topic.queue.sendBatch(again);
}

/** A body that is not of the schema comes again while another version of the worker may be on its way. */
async function refuse(message: Message, queue: string, services: Services, error: z.ZodError): Promise<void> {
  const [issue] = error.issues;
  const detail = `Not a message of ${queue}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
  log('error', detail, { 'event.action': 'queue', 'queue.name': queue, 'message.id': message.id });
  const delaySeconds = FIRST_TRY_DELAY_S * 4 ** Math.min(message.attempts - 1, TRIES_MAX);
  if (message.attempts < TRIES_MAX) return message.retry({ delaySeconds });
  try {
    await keepDead([{ message: message.body, detail }], services);
    message.ack();
  } catch (failure) {
    log('error', 'A dead letter could not be kept yet.', { 'event.action': 'dead-letter' }, failure);
    message.retry({ delaySeconds: RETRY_DELAY_S_MAX });
  }
}
