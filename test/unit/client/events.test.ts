import { gunzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { type ClientOptions, createClient, sendEvents } from '../../../src/client/index.ts';
import { cut, json, problem, quick, scriptedServer } from './server.ts';

const clientOf = (url: string, options: Partial<ClientOptions> = {}) =>
  createClient({ url, key: 'secret', ...options });

describe('sendEvents', () => {
  const event = (n: number) => ({ id: `e${n}`, source: '/test', type: 'made.v1', data: { n } });
  const report = (accepted: number, verdicts: unknown[] = []) => ({
    ...{ accepted, duplicates: verdicts.length, quarantined: 0, verdicts },
  });

  it('sends a batch once where the caller repeats it', async () => {
    await using server = await scriptedServer(problem(503, 'queue_unavailable', { 'retry-after': '2' }));
    const sent = sendEvents(clientOf(server.url), [event(1)], { isRepeatable: false });
    await expect(sent).rejects.toMatchObject({ code: 'queue_unavailable', retryAfterMs: 2_000 });
    expect(server.received).toHaveLength(1);
    expect(server.received[0]?.headers).not.toHaveProperty('idempotency-key');
  });

  it('sends gzipped batches of at most a thousand, and numbers the verdicts through', async () => {
    await using server = await scriptedServer(
      json(report(1_000), { 'millrace-token': 'e.1' }, 201),
      problem(503, 'queue_unavailable'),
      json(report(499, [{ index: 3, id: 'e1003', verdict: 'duplicate' }]), { 'millrace-token': 'e.2' }, 207),
    );
    const { system } = quick();
    const sent = Array.from({ length: 1_500 }, (_, n) => event(n));
    const counts: number[] = [];
    const result = await sendEvents(clientOf(server.url, { system }), sent, {
      ...{ wait: true, lane: 'bulk', onProgress: ({ accepted }) => counts.push(accepted) },
    });
    expect(result).toEqual({
      ...{ accepted: 1_499, duplicates: 1, quarantined: 0, token: 'e.2' },
      verdicts: [{ index: 1_003, id: 'e1003', verdict: 'duplicate' }],
    });
    expect(counts).toEqual([1_000, 1_499]);
    const [first, , third] = server.received;
    expect(first?.headers).toMatchObject({
      'content-type': 'application/cloudevents-batch+json',
      'content-encoding': 'gzip',
      prefer: 'wait',
      'millrace-lane': 'bulk',
    });
    // An event is identified by its source and id, so a repetition needs no other key.
    expect(first?.headers).not.toHaveProperty('idempotency-key');
    const sizes = [first, third].map((one) => JSON.parse(gunzipSync(one?.body ?? '').toString()).length);
    expect(sizes).toEqual([1_000, 500]);
  });

  it('gzips without a blob, which a browser that is short of memory refuses to read', async () => {
    await using server = await scriptedServer(json(report(20), {}, 202));
    const sent = Array.from({ length: 20 }, (_, n) => event(n));
    const refused = vi.spyOn(Blob.prototype, 'stream').mockImplementation(() => {
      throw new DOMException('The blob could not be read', 'NotReadableError');
    });
    try {
      await sendEvents(clientOf(server.url), sent);
    } finally {
      refused.mockRestore();
    }
    const [first] = server.received;
    expect(first?.headers).toMatchObject({ 'content-encoding': 'gzip' });
    expect(JSON.parse(gunzipSync(first?.body ?? '').toString())).toHaveLength(20);
  });

  it('cuts batches by bytes, keeps an id over retries, and sends small ones as they are', async () => {
    await using server = await scriptedServer(cut, json(report(1), {}, 202));
    const { system } = quick();
    const { id: _, ...withoutId } = event(1);
    const result = await sendEvents(clientOf(server.url, { system }), [withoutId]);
    expect(result.token).toBeUndefined();
    const [first, second] = server.received.map(({ body }) => JSON.parse(body.toString()));
    expect(first[0]).toMatchObject({ specversion: '1.0', id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(second).toEqual(first);

    await using large = await scriptedServer(json(report(0), {}, 202));
    const heavy = Array.from({ length: 100 }, (__, n) => ({
      ...event(n),
      data: { text: 'x'.repeat(60_000) },
    }));
    await sendEvents(clientOf(large.url), heavy, { gzip: false });
    expect(large.received.map(({ body }) => body.length > 4_000_000)).toEqual([false, false]);
  });
});
