import { NeonDbError } from '@neondatabase/serverless';
import { expect, it } from 'vitest';
import { isTimeout } from '../../../src/storage/postgres/connect.ts';

const wrapped = (cause: Error) => new Error('Failed query', { cause });

it('distinguishes a timeout from an outage, through the wrappers of the driver', () => {
  const given = new NeonDbError('Error connecting to database');
  given.sourceError = new DOMException('The operation was aborted due to timeout', 'TimeoutError') as never;
  expect(isTimeout(wrapped(given))).toBe(true);
  const canceled = new NeonDbError('canceling statement due to statement timeout');
  canceled.code = '57014';
  expect(isTimeout(wrapped(canceled))).toBe(true);
  const refused = new NeonDbError('Error connecting to database');
  refused.sourceError = new TypeError('fetch failed');
  const isShutDown = new NeonDbError('the database system is shutting down');
  isShutDown.code = '57P03';
  for (const other of [refused, isShutDown, new Error('TimeoutError'), 'TimeoutError', undefined])
    expect(isTimeout(other instanceof Error ? wrapped(other) : other)).toBe(false);
});
