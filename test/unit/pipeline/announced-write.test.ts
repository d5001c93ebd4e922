import { describe, expect, it } from 'vitest';
import { announcedWrite } from '../../../src/pipeline/announced-write.ts';

type Step = 'arm' | 'commit' | 'invalidate' | 'markRelayed';

/** A write of which each step lasts until it is ended, with what has begun so far. */
function write() {
  const begun: Step[] = [];
  const ends = {
    arm: Promise.withResolvers<void>(),
    commit: Promise.withResolvers<string>(),
    invalidate: Promise.withResolvers<string>(),
    markRelayed: Promise.withResolvers<void>(),
  };
  const kept: Promise<unknown>[] = [];
  const step = <T>(name: Step, end: Promise<T>): Promise<T> => {
    begun.push(name);
    return end;
  };
  const answer = announcedWrite({
    arm: () => step('arm', ends.arm.promise),
    commit: () => step('commit', ends.commit.promise),
    invalidate: () => step('invalidate', ends.invalidate.promise),
    markRelayed: () => step('markRelayed', ends.markRelayed.promise),
    keepAlive: (promise) => void kept.push(promise),
  });
  return { begun, ends, kept, answer };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a write through the API', () => {
  it('commits, invalidates and answers in that order, and waits for nothing else', async () => {
    const { begun, ends, answer } = write();
    await settled();
    expect(begun).toEqual(['arm', 'commit']);
    ends.commit.resolve('row');
    await settled();
    expect(begun).toEqual(['arm', 'commit', 'invalidate']);
    ends.invalidate.resolve('token');
    // Neither the relay nor the mark of the outbox has ended.
    expect(await answer).toEqual({ written: 'row', token: 'token' });
    expect(begun).toEqual(['arm', 'commit', 'invalidate', 'markRelayed']);
  });

  it('succeeds though the relay cannot be armed and the mark fails, and leaves no rejection', async () => {
    const { ends, kept, answer } = write();
    ends.arm.reject(new Error('The relay is away.'));
    ends.commit.resolve('row');
    ends.invalidate.resolve('token');
    ends.markRelayed.reject(new Error('The database is away.'));
    expect(await answer).toEqual({ written: 'row', token: 'token' });
    expect(await Promise.all(kept)).toEqual([undefined, undefined]);
  });

  it('gives no answer before the commit is invalidated, and none if that fails', async () => {
    const { begun, ends, answer } = write();
    ends.commit.resolve('row');
    ends.invalidate.reject(new Error('The clock is away.'));
    await expect(answer).rejects.toThrow('The clock is away.');
    expect(begun).not.toContain('markRelayed');
  });

  it('invalidates nothing if the commit fails', async () => {
    const { begun, ends, answer } = write();
    ends.commit.reject(new Error('The database refuses it.'));
    await expect(answer).rejects.toThrow('The database refuses it.');
    expect(begun).toEqual(['arm', 'commit']);
  });
});
