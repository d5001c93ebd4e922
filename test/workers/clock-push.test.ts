import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, it, vi } from 'vitest';
import { TagClock } from '../../durable-objects/tag-clock/object.ts';
import { clockAt } from '../../src/cache/clock/wire.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('a region learns of an invalidation from the push alone, without a sync', async () => {
  const region = env.TAG_CLOCK.getByName('afr');
  const ask = (maxAgeMs: number) =>
    runInDurableObject(region, (object) =>
      clockAt(object).sync({ epoch: '', sinceSeq: 0, maxAgeMs, atLeast: undefined }),
    );
  await ask(0);
  const syncs = vi.spyOn(TagClock.prototype, 'sync');
  const pushes = vi.spyOn(TagClock.prototype, 'receive');
  const token = await env.TAG_CLOCK.getByName('root').invalidateTags([21]);
  // Nobody asks meanwhile: what the region learns now, it has been told.
  await expect.poll(() => pushes.mock.settledResults.length).toBeGreaterThan(0);
  expect(pushes.mock.calls.map(([{ seq }]) => seq)).toContain(token.seq);
  expect(syncs).not.toHaveBeenCalled();
  // The first answer comes from the mirror as it is; whatever sync it sets off behind comes too late for it.
  expect((await ask(600_000)).seq).toBe(token.seq);
});
