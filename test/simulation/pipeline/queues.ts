import { QUEUE_RETRIES_MAX } from '../../../src/platform/limits.ts';
import type { Machine } from './machine.ts';

/** Of the platform (Cloudflare Queues, "max_retries" as wrangler.toml sets it). */
const RETRIES_MAX = QUEUE_RETRIES_MAX;
const BATCH_MAX = 5;

interface Held {
  readonly id: string;
  readonly body: unknown;
  attempts: number;
  dueS: number;
}

/** A queue that delivers at least once, in any order, some of it late, and gives up after `RETRIES_MAX` retries. */
export class SimulatedQueue {
  readonly name: string;
  readonly #machine: () => Machine;
  readonly #attemptsBefore: number;
  readonly #giveUp: ((body: unknown) => void) | undefined;
  readonly #held = new Set<Held>();
  #made = 0;
  #delivering = 0;
  /** Messages that the platform deleted because it has nowhere to put them. */
  readonly deleted: unknown[] = [];

  constructor(
    name: string,
    options: {
      readonly machine: () => Machine;
      readonly attemptsBefore: number;
      readonly giveUp?: (body: unknown) => void;
    },
  ) {
    this.name = name;
    this.#machine = options.machine;
    this.#attemptsBefore = options.attemptsBefore;
    this.#giveUp = options.giveUp;
  }

  get size(): number {
    return this.#held.size;
  }

  /** The binding that producers have. */
  get binding(): Queue<never> {
    const send = async (body: unknown, options?: { delaySeconds?: number }) =>
      await this.#machine().call('queue', `send to ${this.name}`, () =>
        this.put(body, options?.delaySeconds ?? 0),
      );
    const sendBatch = async (messages: readonly { body: unknown; delaySeconds?: number }[]) =>
      await this.#machine().call('queue', `send ${messages.length} to ${this.name}`, () => {
        for (const { body, delaySeconds } of messages) this.put(body, delaySeconds ?? 0);
      });
    return { send, sendBatch } as unknown as Queue<never>;
  }

  put(body: unknown, delayS: number, attempts = this.#attemptsBefore): void {
    this.#made += 1;
    const copy = JSON.parse(JSON.stringify(body)) as unknown;
    this.#held.add({
      id: `${this.name}-${this.#made}`,
      body: copy,
      attempts,
      dueS: this.#machine().nowS + delayS,
    });
  }

  nextS(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#held].map(({ dueS }) => dueS));
  }

  /** Delivers some of what is due; undefined where nothing is, or enough is being handled. */
  delivery(consume: (batch: MessageBatch) => Promise<boolean>): (() => void) | undefined {
    const machine = this.#machine();
    const due = [...this.#held].filter(({ dueS }) => dueS <= machine.nowS);
    if (due.length === 0 || this.#delivering >= 2) return undefined;
    return () => {
      const chosen = due.filter(() => machine.chance(0.6)).slice(0, BATCH_MAX);
      if (chosen.length === 0) chosen.push(...due.slice(0, 1));
      void this.#deliver(chosen, consume);
    };
  }

  async #deliver(chosen: readonly Held[], consume: (batch: MessageBatch) => Promise<boolean>): Promise<void> {
    const machine = this.#machine();
    const ends = new Map<Held, { readonly ack: boolean; readonly delayS: number }>();
    const end = (message: Held, ack: boolean, delayS: number) => {
      // The first word counts.
      if (!ends.has(message)) ends.set(message, { ack, delayS });
    };
    for (const message of chosen) {
      this.#held.delete(message);
      message.attempts += 1;
      // Taken for lost while it is handled, it is delivered to another.
      if (machine.fault('doubled')) this.put(message.body, machine.upTo(30), message.attempts);
    }
    const messages = chosen.map((message) => ({
      id: message.id,
      timestamp: new Date(0),
      body: message.body,
      attempts: message.attempts,
      ack: () => end(message, true, 0),
      retry: (options?: { delaySeconds?: number }) => end(message, false, options?.delaySeconds ?? 0),
    }));
    this.#delivering += 1;
    const returned = await consume({ queue: this.name, messages } as unknown as MessageBatch);
    this.#delivering -= 1;
    for (const message of chosen) {
      // What a consumer said before it was killed may have been heard, or not.
      const said = returned || machine.chance(0.5) ? ends.get(message) : undefined;
      if (said?.ack && !machine.fault('doubled')) continue;
      // A handler that returns without a word has handled the message.
      if (returned && said === undefined) continue;
      if (message.attempts <= RETRIES_MAX) {
        this.#held.add(Object.assign(message, { dueS: machine.nowS + (said?.delayS ?? 0) }));
      } else if (this.#giveUp === undefined) this.deleted.push(message.body);
      else this.#giveUp(message.body);
    }
  }
}

/** What a message has, in a line. */
export function summaryOf({ body, attempts }: Message): string {
  const { accepted = [], refused = [], events = [], tries = 0 } = body as Record<string, never[]>;
  const of = [
    ...accepted.map(({ id }) => id),
    ...refused.map(({ raw }) => `refused ${(raw as { id: string }).id}`),
    ...events.map(({ seq }) => `#${seq}`),
  ];
  return `[${of.join(' ')}; tries ${String(tries)}, attempt ${attempts}]`;
}
