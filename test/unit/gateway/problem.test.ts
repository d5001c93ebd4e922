import { describe, expect, it } from 'vitest';
import { problemResponse } from '../../../src/gateway/problem.ts';
import { Failure } from '../../../src/platform/failure.ts';

describe('the error body of the Open Inference Protocol', () => {
  const errorOf = async (pointer?: string) => {
    const failure = new Failure('invalid_request', 'Not so.', pointer === undefined ? {} : { pointer });
    return await problemResponse(failure, 'r', 'open_inference').json();
  };

  it('names the place of the mistake, unless it is the whole body', async () => {
    expect(await errorOf('/inputs/0')).toEqual({ error: 'Not so. (/inputs/0)' });
    expect(await errorOf('')).toEqual({ error: 'Not so.' });
    expect(await errorOf()).toEqual({ error: 'Not so.' });
  });
});
