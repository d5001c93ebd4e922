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
  /** Everything is handled except these parts: they fail although all dependencies are available. */
  | { readonly kind: 'failed'; readonly parts: readonly FailedPart<Message>[] };

export interface FailedPart<Message> {
  readonly message: Message;
  readonly error: unknown;
}

/**
 * Calls of the handler for the groups of one batch. That many find the bad items of several groups, and stay within the
 * subrequests of an invocation. The search goes on when what is left is retried.
 */
export const CALLS_MAX = 120;

/** What the groups of one batch may still call. */
export class CallBudget {
  #left = CALLS_MAX;

  /** @returns false if fewer than `calls` are left. */
  take(calls: number): boolean {
    if (this.#left < calls) return false;
    this.#left -= calls;
    return true;
  }
}

/**
 * Handles messages together. Where that fails, it halves the list, and then a message that still fails alone, until the
 * bad item stands alone. So one bad item stops no other.
 *
 * @returns a verdict for each message, in their order. Messages that the budget leaves unsearched are retried without a
 *   count, as in an outage.
 */
export async function settle<Message>(
  messages: readonly Message[],
  ports: VerdictPorts<Message>,
  budget: CallBudget = new CallBudget(),
): Promise<Verdict<Message>[]> {
  const search = new Search(ports, budget);
  // The first call of each group is free: without it, a batch would make no progress.
  return await search.amongst(messages, await search.try(messages));
}

interface Outage {
  readonly kind: 'outage';
  readonly error: unknown;
}
type Attempt = { readonly kind: 'handled' } | { readonly kind: 'fault'; readonly error: unknown } | Outage;

class Search<Message> {
  readonly #ports: VerdictPorts<Message>;
  readonly #budget: CallBudget;
  /** Once a dependency is unavailable, the search ends. */
  #outage: Outage | undefined;

  constructor(ports: VerdictPorts<Message>, budget: CallBudget) {
    this.#ports = ports;
    this.#budget = budget;
  }

  async try(messages: readonly Message[]): Promise<Attempt> {
    if (this.#outage !== undefined) return this.#outage;
    try {
      await this.#ports.handle(messages);
      return { kind: 'handled' };
    } catch (error) {
      if (!(await this.#isOutage(error))) return { kind: 'fault', error };
      this.#outage = { kind: 'outage', error };
      return this.#outage;
    }
  }

  /** Narrows messages that were tried together down to those that fail. */
  async amongst(messages: readonly Message[], tried: Attempt): Promise<Verdict<Message>[]> {
    if (tried.kind !== 'fault') return messages.map(() => tried);
    const [only] = messages;
    if (messages.length === 1 && only !== undefined)
      return [await this.within([{ message: only, error: tried.error }])];
    if (!this.#budget.take(2)) return messages.map(() => ({ kind: 'outage', error: tried.error }));
    const middle = Math.ceil(messages.length / 2);
    const halves = [messages.slice(0, middle), messages.slice(middle)];
    const verdicts: Verdict<Message>[] = [];
    for (const half of halves) verdicts.push(...(await this.amongst(half, await this.try(half))));
    return verdicts;
  }

  /** Narrows failed parts down to the items at fault. */
  async within(parts: readonly FailedPart<Message>[]): Promise<Verdict<Message>> {
    const found: FailedPart<Message>[] = [];
    for (const part of parts) {
      const halves = this.#ports.halves(part.message);
      if (halves === undefined || !this.#budget.take(2)) {
        found.push(part);
        continue;
      }
      for (const message of halves) {
        const attempt = await this.try([message]);
        if (attempt.kind === 'outage') return attempt;
        if (attempt.kind === 'handled') continue;
        const narrowed = await this.within([{ message, error: attempt.error }]);
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
