import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, responseOf } from '../../../src/gateway/idempotency/answer.ts';
import { fingerprintOf } from '../../../src/gateway/idempotency/fingerprint.ts';
import { KEY_PATTERN, keyIn, takesIdempotencyKey } from '../../../src/gateway/idempotency/key.ts';

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
});
const quoted = (key: string) => `"${key.replaceAll(/["\\]/g, '\\$&')}"`;

describe('a key', () => {
  it('is the text in the quotes, whatever it escapes', () => {
    fc.assert(
      fc.property(printable, (key) => {
        if (key.length >= 1 && key.length <= 255) expect(keyIn(quoted(key))).toBe(key);
        else expect(() => keyIn(quoted(key))).toThrow(/1 to 255 characters/);
      }),
    );
  });

  it('needs no quotes without spaces, quotes and commas, and then is the same key', () => {
    fc.assert(
      fc.property(printable, (key) => {
        const isBare = key.length >= 1 && key.length <= 255 && !/[ ",]/.test(key);
        expect(KEY_PATTERN.test(key) && !key.startsWith('"')).toBe(isBare);
        if (isBare) expect(keyIn(key)).toBe(keyIn(quoted(key)));
      }),
    );
  });

  it('is ASCII that can be printed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        if (/[^\x20-\x7e]/.test(text.trim())) expect(() => keyIn(quoted(text))).toThrow();
      }),
    );
  });
});

it('the fingerprint is that of the request and of no other', async () => {
  const request = fc.record({
    method: fc.constantFrom('POST', 'PUT'),
    path: fc.constantFrom('/v1/events', '/v1/events?x=1', '/v1/admin/keys'),
    lane: fc.constantFrom('live', 'bulk'),
    eventId: fc.constantFrom('1', '2'),
    other: fc.constantFrom('a', 'b'),
    body: fc.constantFrom('', '{}', '\n', '{"a":1}'),
  });
  type Parts = typeof request extends fc.Arbitrary<infer T> ? T : never;
  const fingerprint = ({ method, path, lane, eventId, other, body }: Parts) =>
    fingerprintOf(
      {
        method,
        url: `https://${other}.test${path}`,
        headers: new Headers({ 'x-other': other, 'millrace-lane': lane, 'ce-id': eventId }),
      },
      new TextEncoder().encode(body),
    );
  const counted = ({ other: _, ...parts }: Parts) => JSON.stringify(parts);
  await fc.assert(
    fc.asyncProperty(request, request, async (one, other) => {
      const isSame = (await fingerprint(one)) === (await fingerprint(other));
      expect(isSame).toBe(counted(one) === counted(other));
    }),
  );
});

it('an answer survives being kept, whatever its body is, but for what belongs to one answer', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array(), fc.constantFrom(200, 201, 404, 422), async (body, status) => {
      const headers = { 'content-type': 'x/y', etag: '"1"', 'x-request-id': 'r', ratelimit: '"key";r=1' };
      const bytes = await bytesOf(new Response(Uint8Array.from(body), { status, headers }));
      const again = responseOf(bytes ?? new Uint8Array());
      expect(again.status).toBe(status);
      expect(Object.fromEntries(again.headers)).toEqual({
        'content-type': 'x/y',
        etag: '"1"',
        'idempotency-replayed': 'true',
      });
      expect(new Uint8Array(await again.arrayBuffer())).toEqual(body);
    }),
  );
});

it.each([
  ['POST', '/v1/events', true],
  ['PUT', '/v1/products/1', true],
  ['DELETE', '/v1/admin/keys/1', true],
  ['PUT', '/v1/admin/models/m/trainings/1', true],
  ['GET', '/v1/events/a/b', false],
  ['HEAD', '/v1/products/1', false],
  ['POST', '/v1/predictions/m', false],
  ['POST', '/v2/models/m/infer', false],
  ['POST', '/v1/features/read', false],
  ['POST', '/v1/tickets', false],
  ['PUT', '/v1/admin/artifacts/1', false],
  ['PUT', '/v1/admin/models/m/champion', false],
])('%s %s takes a key: %s', (method, path, takes) => {
  expect(takesIdempotencyKey(method, path)).toBe(takes);
});
