import { formatToken, type Token } from '../../src/cache/clock/clock.ts';
import type { ClockMoment } from '../../src/define/view.ts';
import type { FoldableEvent } from '../../src/features/fold.ts';
import { laterMoment } from '../../src/features/seen-folds.ts';
import {
  type AnnouncePorts,
  type Folded,
  foldAndInvalidate,
  foldEvents,
  shardOf,
  type Untold,
} from '../../src/features/shards.ts';
import type { ChangedEvent, PendingChange } from '../../src/storage/postgres/outbox.ts';
import { purchases } from '../support/catalog/features.ts';
import { away, CustomerReads, depOf, type Reading } from './customer-reads.ts';
import type { Deployment } from './deployment.ts';
import type { IsolateMachine } from './machines.ts';
import { Machine, never } from './network.ts';
import { CHAMPION_ROW, type OpenWrite } from './origin.ts';
import type { Refusal } from './reach.ts';
import { ENTITY, FEATURES, ShardMachine } from './shard.ts';
import { CUSTOMERS } from './steps.ts';

/** Between two deliveries of one message of the queue, in milliseconds at most. */
const REDELIVERY_MS_MAX = 4_000;
/** When every purchase happened: a day before any clock of this world. */
const BOUGHT_AT = 1e9 - 86_400_000;

/**
 * Customers who buy, the shards that count their purchases, and a model that is asked about them. The versions of a
 * customer are the numbers of purchases in the order of their folds, so a feature shows its version.
 */
export class Customers {
  readonly #deployment: Deployment;
  readonly #reading: Reading;
  readonly #shards: ReadonlyMap<string, ShardMachine>;
  readonly #consumer = new Machine('consumer');
  /** What each folded event has made. */
  readonly #folds = new Map<number, OpenWrite>();
  readonly #versions = new Map<string, number>();
  readonly refusals: Refusal[] = [];
  readonly reads: CustomerReads;
  #events = 0;

  constructor(deployment: Deployment, reading: Reading) {
    this.#deployment = deployment;
    this.#reading = reading;
    const names = new Set(CUSTOMERS.map((customer) => shardOf(ENTITY, customer)));
    this.#shards = new Map(
      [...names].map((name) => [name, new ShardMachine(name, (event) => this.#folded(event))]),
    );
    this.reads = new CustomerReads(deployment, reading, (from, name, call) => this.#call(from, name, call));
    deployment.join([...this.#shards.values(), this.#consumer]);
    deployment.published = (changes) => this.#enqueue(changes);
    deployment.commit('the first version', [{ row: CHAMPION_ROW, kind: 'update' }]);
  }

  [Symbol.dispose](): void {
    for (const shard of this.#shards.values()) shard.close();
  }

  /** The machine that has a customer's features. */
  shardOf(customer: string): ShardMachine {
    return this.#shard(shardOf(ENTITY, customer));
  }

  /** A purchase that does not exist yet. A client that has no answer sends the same once more. */
  newPurchase(customer: string): ChangedEvent {
    this.#events += 1;
    const data = {
      ...{ invoice: String(this.#events), sku: 'z1', description: 'sold', unitPrice: 1, quantity: 1 },
      ...{ customerId: customer, country: 'EIRE' },
    };
    return { seq: this.#events, type: purchases.eventType, occurredAt: BOUGHT_AT, data };
  }

  /** Stores a purchase, and waits until reads with the token show it (`src/composition/storing.ts`). */
  async buy(isolate: IsolateMachine, event: ChangedEvent): Promise<Token | undefined> {
    const { network, relay } = this.#deployment;
    const { life, follower } = isolate;
    try {
      await network.call(isolate, relay, () => relay.arm());
      await this.#deployment.toOrigin(isolate, () => this.#deployment.origin.store(event));
      const [swept, folded] = await Promise.all([
        network.call(isolate, relay, () => relay.sweeper.sweepLive()),
        isolate.folds.add([{ item: event, bytes: 100, keys: [String(event.seq)] }], {
          ...this.#foldPorts(isolate),
          read: async (events) => events,
          fold: (events, untold) => this.#fold(isolate, events, untold),
          onTimeout: () => new Error('The fold took too long.'),
        }),
      ]);
      const at = swept === undefined ? null : laterMoment(swept, folded);
      if (at === null)
        await follower.ensure(
          { maxAgeMs: 0, atLeast: undefined },
          follower.begin(),
          this.#reading.contextOf(isolate),
        );
      if (isolate.life !== life) return await never();
      const { epoch, seq } = at ?? follower.mirror.clock;
      return this.#acknowledge(event, { epoch, seq });
    } catch (error) {
      this.#deployment.log(() => `${isolate.name} has no answer to purchase ${event.seq}: ${error}`);
      return undefined;
    }
  }

  #foldPorts(from: Machine): AnnouncePorts {
    return {
      fold: (events) => this.#fold(from, events, new Map()),
      invalidate: (tags) => this.#invalidateFrom(from, tags),
      announced: (name, announcement, at) =>
        this.#call(from, name, (shard) => shard.announced(announcement, at)),
      keepAlive: (work) => void work,
    };
  }

  /** Folds events; a call to a shard tells it what was invalidated before. */
  #fold(from: Machine, events: readonly FoldableEvent[], untold: Untold): Promise<Folded> {
    return foldEvents(FEATURES, events, {
      fold: (name, _, own) => {
        const told = untold.get(name);
        untold.delete(name);
        return this.#call(from, name, (shard) => shard.fold(own, told));
      },
    });
  }

  async #invalidateFrom(from: Machine, tags: readonly string[]): Promise<ClockMoment> {
    return await this.#deployment.toRoot(from, () => this.#deployment.invalidate(tags), true);
  }

  /** A call to a shard. Errors of the way there say that it is away, as the platform's do. */
  async #call<T>(from: Machine, name: string, work: (shard: ShardMachine) => T): Promise<T> {
    const shard = this.#shard(name);
    const answered = await this.#deployment.network
      .call(from, shard, () => {
        try {
          return { value: work(shard) };
        } catch (error) {
          return { error };
        }
      })
      .catch((error: unknown) => {
        throw away(error);
      });
    if ('error' in answered) throw answered.error;
    return answered.value as T;
  }

  #shard(name: string): ShardMachine {
    const shard = this.#shards.get(name);
    if (shard === undefined) throw new RangeError(`There is no shard ${name}.`);
    return shard;
  }

  #folded(event: FoldableEvent): void {
    const { customerId } = event.data as { customerId: string };
    const version = (this.#versions.get(customerId) ?? 0) + 1;
    this.#versions.set(customerId, version);
    const at = this.#deployment.moment();
    const write: OpenWrite = { dep: depOf(customerId), version, absent: false, begun: at, committed: at };
    this.#deployment.origin.writes.push(write);
    this.#folds.set(event.seq, write);
    this.#deployment.log(() => `purchase ${event.seq} is folded: ${write.dep} v${version}`);
  }

  #acknowledge({ seq }: ChangedEvent, token: Token): Token {
    const write = this.#folds.get(seq);
    const at = this.#deployment.moment();
    if (write === undefined)
      this.refusals.push({ rule: 'not-folded', what: `purchase ${seq}`, begunMs: at.ms, endedMs: at.ms });
    else if (write.acknowledged === undefined) Object.assign(write, { acknowledged: at, token });
    this.#deployment.log(() => `purchase ${seq} is acknowledged with ${formatToken(token)}`);
    return token;
  }

  /** The queue delivers each event some time later, at times twice, until it is folded and invalidated. */
  #enqueue(changes: readonly PendingChange[]): void {
    for (const { event } of changes) if (event !== null) this.#deliverLater(event);
  }

  #deliverLater(event: ChangedEvent): void {
    const { scheduler, chance } = this.#deployment;
    const afterMs = Math.round(chance.between('queue', 1, REDELIVERY_MS_MAX));
    scheduler.setTimer(afterMs, () => {
      const folding = foldAndInvalidate([event], this.#foldPorts(this.#consumer));
      void folding.catch(() => this.#deliverLater(event));
      if (chance.happens('queue', 0.2)) this.#deliverLater(event);
    });
  }
}
