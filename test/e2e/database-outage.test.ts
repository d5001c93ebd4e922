import { expect, it } from 'vitest';
import { KEY, startStack } from '../support/node/stack.ts';

it('answers from the cache while the database is away, and says so; writes ask to be sent again', async () => {
  const stack = await startStack();
  try {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const put = (unitPrice: number) =>
      stack.fetch('/v1/products/1', {
        method: 'PUT',
        headers,
        body: JSON.stringify({ description: null, unitPrice }),
      });
    expect((await put(1)).status).toBe(201);
    expect((await put(2)).status).toBe(200);
    expect((await stack.fetch('/v1/products/1')).status).toBe(200);
    await stack.stopDatabase();

    const cached = await stack.fetch('/v1/products/1', { headers: { 'millrace-consistency': 'strong' } });
    expect(cached.status).toBe(200);
    expect(cached.headers.get('cache-status')).toContain('; hit');
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
