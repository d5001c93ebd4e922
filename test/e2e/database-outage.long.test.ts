import { expect, it } from 'vitest';
import { eventually, KEY, startStack } from '../support/node/stack.ts';

it('serves marked answers from the cache while the database is unavailable, and answers writes with 503', async () => {
  const stack = await startStack();
  try {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const put = (unitPrice: number, sku = '1') =>
      stack.fetch(`/v1/products/${sku}`, {
        method: 'PUT',
        headers,
        body: JSON.stringify({ description: null, unitPrice }),
      });
    expect((await put(1)).status).toBe(201);
    expect((await put(2)).status).toBe(200);
    expect((await put(1, '3')).status).toBe(201);
    const strong = (sku = '1') =>
      stack.fetch(`/v1/products/${sku}`, { headers: { 'millrace-consistency': 'strong' } });
    const isHit = (response: Response) => (response.headers.get('cache-status') ?? '').includes('; hit');
    await eventually(strong, isHit);
    await eventually(() => strong('3'), isHit);
    // The purge voids the entry, so only the database could answer. Bounded readers get the old answer, marked.
    const purge = () =>
      stack.fetch('/v1/admin/cache/purge', {
        method: 'POST',
        headers,
        body: JSON.stringify({ tags: ['product:1'] }),
      });
    const purged = await purge();
    const token = purged.headers.get('millrace-token') ?? '';
    expect(purged.ok).toBe(true);
    await stack.stopDatabase();

    const cached = await strong('3');
    expect(cached.status).toBe(200);
    expect(isHit(cached)).toBe(true);
    // It could not be recorded in the audit log.
    expect((await purge()).status).toBe(503);
    for (const promised of [{ 'millrace-consistency': 'strong' }, { 'millrace-token': token }]) {
      const refused = await stack.fetch('/v1/products/1', { headers: promised });
      expect(refused.status).toBe(503);
      expect(refused.headers.get('retry-after')).toBe('5');
      expect(await refused.json()).toMatchObject({ code: 'database_unavailable' });
    }
    const standIn = await stack.fetch('/v1/products/1');
    expect(standIn.status).toBe(200);
    expect(standIn.headers.get('cache-status')).toContain('detail=origin-unavailable');
    expect(standIn.headers.get('millrace-token')).toBeNull();
    const missing = await stack.fetch('/v1/products/2');
    expect(missing.status).toBe(503);
    expect(missing.headers.get('retry-after')).toBe('5');
    expect(await missing.json()).toMatchObject({ code: 'database_unavailable' });
    const write = await put(3);
    expect(write.status).toBe(503);
    expect(write.headers.get('retry-after')).toBe('5');
    expect((await stack.fetch('/health/live')).status).toBe(200);
    expect((await stack.fetch('/health/ready')).status).toBe(503);
  } finally {
    await stack[Symbol.asyncDispose]();
  }
});
