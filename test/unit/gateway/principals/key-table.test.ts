import { beforeEach, describe, expect, it } from 'vitest';
import { invalidate, newClock } from '../../../../src/cache/clock/clock.ts';
import { encodeDelta } from '../../../../src/cache/clock/delta.ts';
import { ClockFollower } from '../../../../src/cache/clock/follower.ts';
import { tagHash } from '../../../../src/cache/clock/tag-hash.ts';
import { type ApiKey, keyTag } from '../../../../src/gateway/principals/api-key.ts';
import {
  KEY_BOUND_MS,
  KEY_STAND_IN_MS,
  KEY_TTL_MS,
  KeyTable,
  LOOKUPS_MAX,
  type LookupPorts,
} from '../../../../src/gateway/principals/key-table.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';

const ID = '0123456789abcdef';
const KEY: ApiKey = {
  holder: { kind: 'key', id: ID, scopes: new Set(['data:read']), claims: {} },
  hash: 'a'.repeat(64),
  previous: null,
  expiresAtMs: null,
  revokedAtMs: null,
};
const REVOKED: ApiKey = { ...KEY, revokedAtMs: 1 };

/** A table over a root clock and a database in memory. */
class World {
  nowMs = 1_000_000;
  stored: ApiKey | null = KEY;
  isDatabaseUp = true;
  isClockUp = true;
  reads = 0;
  /** Called in the middle of a read of the database, after its snapshot. */
  duringRead: () => void | Promise<void> = () => {};
  readonly root = newClock('e');
  readonly table = new KeyTable(new ClockFollower({ now: () => this.nowMs, withTimeout }, { silentMs: 0 }), {
    now: () => this.nowMs,
    withTimeout,
  });
  readonly ports: LookupPorts = {
    context: {
      parent: {
        sync: async ({ epoch, sinceSeq }) => {
          if (!this.isClockUp) throw new Error('The clock is away.');
          const since = epoch === this.root.epoch ? sinceSeq : 0;
          return { ...encodeDelta(this.root, since), ageMs: 0, sources: {}, askAgainMs: 50 };
        },
      },
      keepAlive: () => {},
    },
    read: async () => {
      this.reads += 1;
      const { stored } = this;
      await this.duringRead();
      if (!this.isDatabaseUp) throw new Error('The database is away.');
      return stored;
    },
  };

  find(isStrong = false, id = ID): Promise<ApiKey | null> {
    return this.table.find(id, isStrong, this.ports);
  }

  revoke(): void {
    this.stored = REVOKED;
    invalidate(this.root, [tagHash(keyTag(ID))]);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

it('looks a key up once, and knows it without waiting within the bound', async () => {
  expect(world.table.peek(ID)).toBeUndefined();
  expect(await world.find()).toBe(KEY);
  world.nowMs += KEY_BOUND_MS;
  expect(world.table.peek(ID)).toBe(KEY);
  world.nowMs += 1;
  // The mirror is too old to tell; one sync is enough, without the database.
  expect(world.table.peek(ID)).toBeUndefined();
  expect(await world.find()).toBe(KEY);
  expect(world.table.peek(ID)).toBe(KEY);
  expect(world.reads).toBe(1);
});

describe('a revocation', () => {
  it('takes effect within the bound', async () => {
    await world.find();
    world.revoke();
    expect(world.table.peek(ID)).toBe(KEY);
    world.nowMs += KEY_BOUND_MS + 1;
    expect(world.table.peek(ID)).toBeUndefined();
    expect(await world.find()).toBe(REVOKED);
  });

  it('takes effect at once for a strong request, and then for all', async () => {
    await world.find();
    world.revoke();
    expect(await world.find(true)).toBe(REVOKED);
    expect(world.table.peek(ID)).toBe(REVOKED);
  });

  it('during the look-up leaves a record that is stale', async () => {
    await world.find();
    world.nowMs += KEY_TTL_MS + 1;
    world.duringRead = () => world.revoke();
    expect(await world.find()).toBe(KEY);
    world.duringRead = () => {};
    world.nowMs += KEY_BOUND_MS + 1;
    expect(await world.find()).toBe(REVOKED);
  });

  it('during a look-up that takes longer than the bound is not missed', async () => {
    world.duringRead = () => {
      world.revoke();
      world.nowMs += KEY_BOUND_MS + 1;
    };
    await expect(world.find()).rejects.toMatchObject({ code: 'database_unavailable' });
    world.duringRead = () => {};
    expect(await world.find()).toBe(REVOKED);
  });

  it('a slow look-up of a key that did not change is answered', async () => {
    world.duringRead = () => {
      world.nowMs += 2 * KEY_BOUND_MS;
    };
    expect(await world.find()).toBe(KEY);
  });

  it('that invalidated nothing takes effect once the record is too old', async () => {
    await world.find();
    world.stored = REVOKED;
    world.nowMs += KEY_TTL_MS;
    expect(await world.find()).toBe(KEY);
    world.nowMs += 1;
    expect(await world.find()).toBe(REVOKED);
  });
});

describe('while the database is away', () => {
  it('a key that the clock validates stays valid for an hour', async () => {
    await world.find();
    world.isDatabaseUp = false;
    world.nowMs += KEY_STAND_IN_MS;
    expect(await world.find()).toBe(KEY);
    world.nowMs += 1;
    await expect(world.find()).rejects.toThrow('The database is away.');
  });

  it('a key that was revoked or is unknown is not answered', async () => {
    await world.find();
    world.revoke();
    world.isDatabaseUp = false;
    world.nowMs += KEY_BOUND_MS + 1;
    await expect(world.find()).rejects.toThrow('The database is away.');
    await expect(world.find(false, 'fedcba9876543210')).rejects.toThrow('The database is away.');
  });
});

it('while the clock is away, reads the database once for each bound', async () => {
  await world.find();
  world.isClockUp = false;
  world.nowMs += KEY_BOUND_MS + 1;
  world.stored = REVOKED;
  expect(await world.find()).toBe(REVOKED);
  expect(world.table.peek(ID)).toBe(REVOKED);
  world.nowMs += KEY_BOUND_MS + 1;
  expect(world.table.peek(ID)).toBeUndefined();
  expect(world.reads).toBe(2);
});

describe('look-ups', () => {
  it('of one key at a time are one, but a strong one joins none', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.duringRead = () => promise;
    const waiting = [world.find(), world.find(), world.find(true)];
    await expect.poll(() => world.reads).toBe(2);
    resolve();
    expect(await Promise.all(waiting)).toEqual([KEY, KEY, KEY]);
    expect(world.reads).toBe(2);
  });

  it('of ids without a key are remembered, and do not evict keys', async () => {
    await world.find();
    world.stored = null;
    const ids = Array.from({ length: 6_000 }, (_, index) => index.toString(16).padStart(16, '0'));
    for (const id of ids) expect(await world.find(false, id)).toBeNull();
    const { reads } = world;
    expect(world.table.peek(ids.at(-1) ?? '')).toBeNull();
    expect(world.table.peek(ids[0] ?? '')).toBeUndefined();
    expect(world.table.peek(ID)).toBe(KEY);
    expect(reads).toBe(6_001);
  });

  it('are limited in number, so random ids do not fill the database with work', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.duringRead = () => promise;
    const found = Array.from({ length: LOOKUPS_MAX + 4 }, (_, index) =>
      world.find(false, index.toString(16).padStart(16, '0')).catch((error: unknown) => error),
    );
    await expect.poll(() => world.reads).toBe(LOOKUPS_MAX);
    resolve();
    const refused = (await Promise.all(found)).filter((answer) => answer instanceof Error);
    expect(refused).toMatchObject(Array.from({ length: 4 }, () => ({ code: 'database_unavailable' })));
    expect(await world.find()).toBe(KEY);
  });
});
