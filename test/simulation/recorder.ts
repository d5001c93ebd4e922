import type { ClockParent, SyncAnswer, SyncRequest } from '../../src/cache/clock/mirror.ts';
import type { Tier } from '../../src/cache/tiers/tier.ts';
import { momentOf, type RecordEvent, type RecordedEvent } from './recording.ts';

interface SentSync {
  readonly id: number;
  readonly atMs: number;
}

/** A follower waits for 900 ms on a clock of its own, which may be fast by a hundred parts in a million. */
const SYNC_WAIT_MS = 899;

/** Notes the events of a run for a recording. Without one it builds no event. */
export class Recorder {
  readonly #record: RecordEvent | undefined;
  readonly #now: () => number;
  readonly #answeredBy = new WeakMap<SyncAnswer, 'root' | 'region'>();
  #ids = 0;

  /** @param now virtual time, in milliseconds. */
  constructor(record: RecordEvent | undefined, now: () => number) {
    this.#record = record;
    this.#now = now;
  }

  note(event: () => RecordedEvent): void {
    this.#record?.(this.#now(), event());
  }

  /** The number of a read, a sync, a push or a pass. */
  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  sends(from: string, { maxAgeMs, atLeast }: SyncRequest): SentSync {
    const sync = { id: this.nextId(), atMs: this.#now() };
    this.note(() => ({ do: 'send', sync: sync.id, from, maxAgeMs, token: atLeast }));
    return sync;
  }

  async answersOf(
    by: 'root' | 'region',
    sync: SentSync,
    clock: ClockParent,
    request: SyncRequest,
  ): Promise<SyncAnswer> {
    const answer = await clock.sync(request);
    this.#answeredBy.set(answer, by);
    this.note(() => ({ do: 'answers', sync: sync.id, by, at: momentOf(answer) }));
    return answer;
  }

  /** A follower takes an answer in, unless it has stopped waiting for it. */
  arrives(sync: SentSync, answer: SyncAnswer): void {
    if (this.#now() - sync.atMs >= SYNC_WAIT_MS) return;
    this.note(() => ({ do: 'apply', sync: sync.id, by: this.#byOf(answer), at: momentOf(answer) }));
  }

  #byOf(answer: SyncAnswer): 'root' | 'region' {
    const by = this.#answeredBy.get(answer);
    if (by === undefined) throw new Error('A follower takes in an answer that no clock gave.');
    return by;
  }

  lookedInto(tier: Tier, read: number): Tier {
    if (this.#record === undefined) return tier;
    return {
      ...tier,
      name: tier.name,
      get: (key) => {
        this.note(() => ({ do: 'look', read }));
        return tier.get(key);
      },
      put: (key, entry) => tier.put(key, entry),
    };
  }
}
