/** How messages of a topic are handled. */
export interface VerdictPorts<Message> {
  /** Handles all of them or fails; safe to repeat. */
  readonly handle: (messages: readonly Message[]) => Promise<void>;
  /** Splits a message in two; undefined where it holds a single item. */
  readonly halves: (message: Message) => readonly [Message, Message] | undefined;
  /** Whether an error shows that a dependency is unavailable, so that the message is not at fault. */
  readonly isOutage: (error: unknown) => boolean;
  /** Fails where a dependency of the handler is unavailable. */
  readonly probe: () => Promise<unknown>;
}

/** The outcome for one message. */
export type Verdict<Message> =
  | { readonly kind: 'handled' }
  /** A dependency of the handler is unavailable. The message is retried and its failure does not count. */
  | { readonly kind: 'outage'; readonly error: unknown }
  /** Everything is handled but these parts: they fail by themselves while all dependencies are available. */
  | { readonly kind: 'failed'; readonly parts: readonly FailedPart<Message>[] };

export interface FailedPart<Message> {
  readonly message: Message;
  readonly error: unknown;
}

/**
 * Calls of the handler for one batch: enough to find one bad item in each of five messages of 400, within the
 * subrequests of an invocation. The search goes on when the parts that are left are retried.
 */
const CALLS_MAX = 120;

/**
 * Handles messages together. Where that fails, it handles each message by itself, and halves a message that still
 * fails until the bad item stands alone. So one bad item stops no other.
 *
 * @returns a verdict for each message, in their order.
 */
export async function settle<Message>(
  messages: readonly Message[],
  ports: VerdictPorts<Message>,
): Promise<Verdict<Message>[]> {
  const search = new Search(ports);
  const together = await search.try(messages);
  if (together.kind !== 'fault') return messages.map(() => together);
  const alone: Verdict<Message>[] = [];
  for (const message of messages) {
    alone.push(messages.length === 1 ? failedWhole(message, together.error) : await search.alone(message));
  }
  const verdicts: Verdict<Message>[] = [];
  for (const verdict of alone) {
    verdicts.push(verdict.kind === 'failed' ? await search.within(verdict.parts) : verdict);
  }
  return verdicts;
}

interface Outage {
  readonly kind: 'outage';
  readonly error: unknown;
}
type Attempt = { readonly kind: 'handled' } | { readonly kind: 'fault'; readonly error: unknown } | Outage;

class Search<Message> {
  readonly #ports: VerdictPorts<Message>;
  #calls = 0;
  /** Once a dependency is unavailable, the search ends. */
  #outage: Outage | undefined;

  constructor(ports: VerdictPorts<Message>) {
    this.#ports = ports;
  }

  async try(messages: readonly Message[]): Promise<Attempt> {
    if (this.#outage !== undefined) return this.#outage;
    this.#calls += 1;
    try {
      await this.#ports.handle(messages);
      return { kind: 'handled' };
    } catch (error) {
      if (!(await this.#isOutage(error))) return { kind: 'fault', error };
      this.#outage = { kind: 'outage', error };
      return this.#outage;
    }
  }

  async alone(message: Message): Promise<Verdict<Message>> {
    const attempt = await this.try([message]);
    if (attempt.kind === 'fault') return failedWhole(message, attempt.error);
    return attempt;
  }

  /** Narrows failed parts down to the items at fault. */
  async within(parts: readonly FailedPart<Message>[]): Promise<Verdict<Message>> {
    const found: FailedPart<Message>[] = [];
    for (const part of parts) {
      const halves = this.#calls + 2 > CALLS_MAX ? undefined : this.#ports.halves(part.message);
      if (halves === undefined) {
        found.push(part);
        continue;
      }
      for (const half of halves) {
        if (this.#calls >= CALLS_MAX) {
          found.push({ message: half, error: part.error });
          continue;
        }
        const verdict = await this.alone(half);
        const narrowed = verdict.kind === 'failed' ? await this.within(verdict.parts) : verdict;
        if (narrowed.kind === 'outage') return narrowed;
        if (narrowed.kind === 'failed') found.push(...narrowed.parts);
      }
    }
    return found.length === 0 ? { kind: 'handled' } : { kind: 'failed', parts: found };
  }

  /** Probes the dependencies right after an error that does not show by itself whether it comes from an outage. */
  async #isOutage(error: unknown): Promise<boolean> {
    if (this.#ports.isOutage(error)) return true;
    try {
      await this.#ports.probe();
      return false;
    } catch {
      return true;
    }
  }
}

function failedWhole<Message>(message: Message, error: unknown): Verdict<Message> {
  return { kind: 'failed', parts: [{ message, error }] };
}
