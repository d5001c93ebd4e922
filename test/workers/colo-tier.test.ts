import { describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../src/cache/entry.ts';
import { COLO_ORIGIN, type ColoCache, ColoTier } from '../../src/cache/tiers/colo.ts';

const ENTRY: Entry = {
  body: '{"sku":"85123A","description":"Körbchen"}',
  etag: '"0123"',
  tagHashes: [1, 65_535],
  epoch: 'e',
  stamp: 7,
  filledAt: 1_000_000.5,
};

/** The real cache, with a record of what it was asked. */
class RecordingCache implements ColoCache {
  readonly urls: string[] = [];
  readonly cacheControl: (string | null)[] = [];

  async match(url: string) {
    this.urls.push(url);
    return await caches.default.match(url);
  }

  async put(url: string, response: Response) {
    this.urls.push(url);
    this.cacheControl.push(response.headers.get('cache-control'));
    await caches.default.put(url, response);
  }
}

/** Puts any text where the tier looks for `key`. */
async function plant(key: string, body: string): Promise<void> {
  const cache = new RecordingCache();
  await new ColoTier(cache, 60).get(key);
  const [url = ''] = cache.urls;
  await caches.default.put(url, new Response(body, { headers: { 'cache-control': 'max-age=60' } }));
}

describe("the data centre's tier", () => {
  it('returns a stored entry to any isolate, for any key', async () => {
    for (const key of ['round-trip', `view/${'ü?#&%\n'.repeat(700)}`, '']) {
      await new ColoTier(caches.default, 60).put(key, ENTRY);
      expect(await new ColoTier(caches.default, 60).get(key)).toEqual(ENTRY);
    }
  });

  it('misses another key, and the same key under another origin', async () => {
    await new ColoTier(caches.default, 60).put('one', ENTRY);
    expect(await new ColoTier(caches.default, 60).get('two')).toBeUndefined();
    expect(await new ColoTier(caches.default, 60, 'https://other.invalid').get('one')).toBeUndefined();
  });

  it('keeps the newest entry of a key', async () => {
    const tier = new ColoTier(caches.default, 60);
    await tier.put('replaced', ENTRY);
    await tier.put('replaced', { ...ENTRY, stamp: 8 });
    expect((await tier.get('replaced'))?.stamp).toBe(8);
  });

  it('uses a short URL with a digest, and a time to live in whole seconds', async () => {
    const cache = new RecordingCache();
    await new ColoTier(cache, 59.2).put('x'.repeat(4_096), ENTRY);
    await new ColoTier(cache, 0).put('k', ENTRY);
    expect(cache.cacheControl).toEqual(['max-age=60', 'max-age=1']);
    for (const url of cache.urls) {
      expect(url.startsWith(`${COLO_ORIGIN}/`)).toBe(true);
      expect(url).toMatch(/^https:\/\/[a-z./-]+\/[0-9a-f]{64}$/);
    }
  });

  it('drops an entry after its time to live', async () => {
    const tier = new ColoTier(caches.default, 1);
    await tier.put('short', ENTRY);
    await vi.waitFor(async () => expect(await tier.get('short')).toBeUndefined(), { timeout: 4_000 });
  });

  it.each([
    ['no JSON', '<html>'],
    ['nothing', ''],
    ['other JSON', '{"body":1}'],
    ['a number that is no hash', JSON.stringify({ ...ENTRY, tagHashes: [2 ** 32] })],
    ['a missing stamp', JSON.stringify({ ...ENTRY, stamp: undefined })],
  ])('misses if %s is stored under the key', async (what, body) => {
    const key = `garbage/${what}`;
    await plant(key, body);
    expect(await new ColoTier(caches.default, 60).get(key)).toBeUndefined();
  });

  it('finds a well-formed planted entry, so the garbage was really read', async () => {
    await plant('planted', JSON.stringify(ENTRY));
    expect(await new ColoTier(caches.default, 60).get('planted')).toEqual(ENTRY);
  });

  it('does not store an entry that is too large', async () => {
    const cache = new RecordingCache();
    await new ColoTier(cache, 60).put('large', { ...ENTRY, body: 'x'.repeat(2_000_001) });
    expect(cache.urls).toEqual([]);
  });

  it('turns every failure of the cache into a miss', async () => {
    const rejecting: ColoCache = {
      match: async () => {
        throw new Error('out of reach');
      },
      put: async () => {
        throw new Error('out of reach');
      },
    };
    const throwing: ColoCache = {
      match: () => {
        throw new Error('at once');
      },
      put: () => {
        throw new Error('at once');
      },
    };
    for (const cache of [rejecting, throwing]) {
      const tier = new ColoTier(cache, 60);
      await expect(tier.put('k', ENTRY)).resolves.toBeUndefined();
      await expect(tier.get('k')).resolves.toBeUndefined();
    }
  });

  it('misses if the cache returns another entry than the stored one', async () => {
    const partial: ColoCache = {
      match: async () => new Response('{"body":', { status: 206 }),
      put: async () => undefined,
    };
    expect(await new ColoTier(partial, 60).get('k')).toBeUndefined();
  });
});
