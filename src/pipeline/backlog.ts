/**
 * What the queues of the local stack hold. The local platform keeps them in memory and reports only how many messages
 * wait, not those that are being handled or delayed. One isolate there both sends and consumes, so its own count is
 * exact. On Cloudflare one isolate sends and another one consumes: there only the platform knows the backlog.
 */

/** The queues that are counted, as `GET /v1/admin/queues` names them. */
export const COUNTED_QUEUES = ['events', 'changes', 'sink'] as const;
export type CountedQueue = (typeof COUNTED_QUEUES)[number];

/** Items that were enqueued and are not handled yet, by queue. */
export type QueuedItems = Readonly<Record<CountedQueue, number>>;

/** The items of a message: each list that it carries counts, and two lists of the same things count once. */
const LISTS: Readonly<Record<CountedQueue, (lists: (name: string) => number) => number>> = {
  events: (lists) => lists('accepted') + lists('refused'),
  changes: (lists) => Math.max(lists('events'), lists('changes')),
  sink: (lists) => lists('sink'),
};

/** How many items a message of a queue carries; 0 for a body that is no message. */
export function itemsOf(queue: CountedQueue, body: unknown): number {
  return LISTS[queue]((name) => {
    const list: unknown = Reflect.get(Object(body), name);
    return Array.isArray(list) ? list.length : 0;
  });
}

/** Counts items from their sending to their acknowledgement. A message that is retried stays counted. */
export class Backlog {
  readonly #items = new Map<CountedQueue, number>();

  /** Sends and counts. It counts first: the consumer may be done before `send` returns. */
  async sending<Sent>(
    queue: CountedQueue,
    bodies: readonly unknown[],
    send: () => Promise<Sent>,
  ): Promise<Sent> {
    const items = bodies.reduce((sum: number, body) => sum + itemsOf(queue, body), 0);
    this.#add(queue, items);
    try {
      return await send();
    } catch (error) {
      this.#add(queue, -items);
      throw error;
    }
  }

  acknowledged(queue: CountedQueue, body: unknown): void {
    this.#add(queue, -itemsOf(queue, body));
  }

  get items(): QueuedItems {
    const of = (queue: CountedQueue) => this.#items.get(queue) ?? 0;
    return { events: of('events'), changes: of('changes'), sink: of('sink') };
  }

  #add(queue: CountedQueue, items: number): void {
    this.#items.set(queue, Math.max(0, (this.#items.get(queue) ?? 0) + items));
  }
}
