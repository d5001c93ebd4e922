import { describe, expect, it } from 'vitest';
import { readJson, readOptionalJson } from '../../../src/gateway/body.ts';

const OPTIONS = { bytesMax: 1_000, types: ['application/json'] } as const;
const sent = (body?: string, type?: string) =>
  new Request('https://millrace.test/', {
    method: 'POST',
    ...(body === undefined ? {} : { body }),
    headers: type === undefined ? {} : { 'content-type': type },
  });

describe('a body without a required member', () => {
  it('may be left out, and is checked as any other if it is there', async () => {
    expect(await readOptionalJson(sent(), OPTIONS)).toEqual({});
    // A client may send the length of 0, and then there is a body that is empty.
    const empty = new Request('https://millrace.test/', { method: 'POST', body: new Uint8Array() });
    expect(await readOptionalJson(empty, OPTIONS)).toEqual({});
    expect(await readOptionalJson(sent('', 'application/json'), OPTIONS)).toEqual({});
    expect(await readOptionalJson(sent('{"a":1}', 'application/json'), OPTIONS)).toEqual({ a: 1 });
    for (const [body, type] of [
      ['{}', 'text/plain'],
      [undefined, 'text/plain'],
      ['{}', ''],
    ] as const)
      await expect(readOptionalJson(sent(body, type), OPTIONS)).rejects.toMatchObject({
        code: 'unsupported_media_type',
      });
    const other = readOptionalJson(sent('{"a":"\\u0000"}', 'application/json'), OPTIONS);
    await expect(other).rejects.toMatchObject({ code: 'invalid_request', pointer: '/a' });
    await expect(readJson(sent(), OPTIONS)).rejects.toMatchObject({ code: 'unsupported_media_type' });
  });
});
