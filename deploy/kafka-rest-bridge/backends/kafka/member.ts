import { Consumer } from '@platformatic/kafka';
import type { Assignment, GroupMember, MemberOptions } from '../../backend.ts';
import type { Position } from '../../messages.ts';
import { waitForAny } from '../../wait.ts';
import { clientOptions, type KafkaOptions } from './connection.ts';
import { asking, toRequestError } from './errors.ts';
import type { Topics } from './topics.ts';

/**
 * The longest interval between heartbeats, in milliseconds. It also bounds how soon the member learns of a rebalance.
 */
const HEARTBEAT_MS_MAX = 3_000;
/** The shortest time that the group waits for its members during a rebalance. */
const REBALANCE_MS_MIN = 30_000;
/** Added to the request timeout, because the broker delays the response to a join for the whole rebalance. */
const REQUEST_MS_BEYOND_REBALANCE = 10_000;

/**
 * A member of a group of the cluster, by the classic protocol, which every supported broker has. The instance's name is
 * its `group.instance.id`: a bridge that was killed regains its partitions without a rebalance (KIP-345).
 */
export class KafkaMember implements GroupMember {
  readonly #consumer: Consumer;
  readonly #topics: Topics;
  readonly #changed = new Set<() => void>();
  #assignment: Assignment | undefined;
  #failure: unknown;
  #joining: Promise<void> | undefined;
  #hasLeft = false;

  constructor(
    options: KafkaOptions,
    topics: Topics,
    { group, instance, topics: subscribed, sessionTimeoutMs }: MemberOptions,
  ) {
    const rebalanceTimeout = Math.max(sessionTimeoutMs, REBALANCE_MS_MIN);
    this.#topics = topics;
    this.#consumer = new Consumer({
      ...clientOptions(options),
      groupId: group,
      groupInstanceId: instance,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout,
      requestTimeout: rebalanceTimeout + REQUEST_MS_BEYOND_REBALANCE,
      heartbeatInterval: Math.min(HEARTBEAT_MS_MAX, Math.floor(sessionTimeoutMs / 3)),
    });
    this.#consumer.topics.trackAll(...subscribed);
    this.#consumer.on('consumer:group:join', ({ generationId, assignments }) => {
      const partitions = (assignments ?? []).flatMap((own) =>
        own.partitions.map((partition) => ({ topic: own.topic, partition })),
      );
      this.#change({ generation: generationId ?? 0, partitions });
    });
    this.#consumer.on('consumer:group:rebalance', () => this.#change(undefined));
    // A rejoin failed. No further heartbeat follows, so the member has to join anew.
    this.#consumer.on('error', (error: unknown) => {
      this.#failure = error;
      this.#change(undefined);
    });
    this.#join();
  }

  assignment(): Assignment | undefined {
    if (this.#failure !== undefined && this.#joining === undefined) {
      const failure = toRequestError(this.#failure);
      this.#failure = undefined;
      this.#join();
      throw failure;
    }
    return this.#assignment;
  }

  async ready(waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#assignment !== undefined || this.#failure !== undefined) return;
    const change = (wake: () => void) => {
      this.#changed.add(wake);
      return () => this.#changed.delete(wake);
    };
    await waitForAny([change], waitMs, signal);
  }

  async commit(positions: readonly Position[]): Promise<void> {
    const offsets = [];
    for (const { topic, partition, offset } of positions) {
      const { leaderEpoch } = await this.#topics.partition({ topic, partition });
      offsets.push({ topic, partition, offset: BigInt(offset), leaderEpoch });
    }
    await asking(this.#consumer.commit({ offsets }));
  }

  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.#change(undefined);
    await this.#consumer.close(true);
  }

  #join(): void {
    if (this.#hasLeft) return;
    const joining = this.#consumer
      .joinGroup({})
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#joining = undefined;
        this.#wake();
      });
    this.#joining = joining;
  }

  #change(assignment: Assignment | undefined): void {
    this.#assignment = this.#hasLeft ? undefined : assignment;
    this.#wake();
  }

  #wake(): void {
    const waiting = [...this.#changed];
    this.#changed.clear();
    for (const wake of waiting) wake();
  }
}
