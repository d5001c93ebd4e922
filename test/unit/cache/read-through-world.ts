import { type Clock, invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../../src/cache/clock/follower.ts';
import { tagHashes } from '../../../src/cache/clock/tag-hash.ts';
import { type Consistency, type ReadThroughPorts, readThrough } from '../../../src/cache/read-through.ts';
import { RecentFills } from '../../../src/cache/single-flight.ts';
import { MemoryTier } from '../../../src/cache/tiers/memory.ts';
import { type CachePolicy, cachePolicy } from '../../../src/define/cache-policy.ts';
import { withTimeout } from '../../../src/platform/clock.ts';
import { sha256Hex } from '../../../src/platform/digest.ts';

/** One isolate with its own memory over a shared far tier, an origin of one value, and a clock one may cut off. */
export class World {
  root: Clock = newClock('e');
  clockIsAway = false;
  sourceAgeMs = 0;
  now = 1_000_000;
  value: string | null = 'v1';
  originFails: Error | undefined;
  loads = 0;
  /** The origin answers once this settles. */
  originIsSlow: Promise<void> = Promise.resolve();
  readonly far = new MemoryTier(1_000_000);

  invalidate(tag: string): void {
    invalidate(this.root, tagHashes([tag]));
  }

  isolate(): ReadThroughPorts {
    return {
      follower: new ClockFollower({ now: () => this.now, withTimeout }),
      context: {
        keepAlive: () => undefined,
        parent: {
          sync: async ({ epoch, sinceSeq }) => {
            if (this.clockIsAway) throw new Error('unreachable');
            const delta = encodeDelta(this.root, epoch === this.root.epoch ? sinceSeq : 0);
            const sources = { outbox: this.sourceAgeMs };
            return { ...delta, ageMs: 0, sources, askAgainMs: 1_000 };
          },
        },
      },
      tiers: [new MemoryTier(1_000_000), this.far],
      time: { now: () => this.now, withTimeout },
      gateOf: () => undefined,
      digest: sha256Hex,
      pingOrigin: async () => undefined,
      // No early refresh: those have tests of their own.
      random: () => 0,
      refreshing: new Map(),
      recentFills: new RecentFills(),
    };
  }

  async read(
    isolate: ReadThroughPorts,
    options: {
      level?: Consistency['level'];
      atLeast?: Consistency['atLeast'];
      policy?: Partial<CachePolicy>;
      during?: () => void | Promise<void>;
    } = {},
  ) {
    return await readThrough(
      {
        view: 'v',
        key: 'k',
        policy: cachePolicy(options.policy),
        consistency: { level: options.level, atLeast: options.atLeast },
        load: async () => {
          this.loads += 1;
          await this.originIsSlow;
          if (this.originFails !== undefined) throw this.originFails;
          const value = this.value;
          await options.during?.();
          return { value, tags: ['product:1'], storable: true };
        },
      },
      isolate,
    );
  }
}
