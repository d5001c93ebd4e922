import { describe, expect, it } from 'vitest';
import { judgeHistory, type ReadRecord, type WriteRecord } from '../../support/coherence/judge.ts';

let order = 0;
const at = (ms: number) => {
  order += 1;
  return { ms, order };
};
const token = (seq: number, epoch = 'e') => ({ epoch, seq });

/** Committed and acknowledged at once, one second apart: version n at n seconds, with token n. */
function written(versions: number, absent: readonly number[] = []): WriteRecord[] {
  return Array.from({ length: versions }, (_, index) => {
    const version = index + 1;
    const begun = at(version * 1_000);
    const done = at(version * 1_000);
    return {
      dep: 'k',
      version,
      absent: absent.includes(version),
      begun,
      committed: done,
      acknowledged: done,
      token: token(version),
    };
  });
}

function read(atMs: number, shown: ReadRecord['shown'], over: Partial<ReadRecord> = {}): ReadRecord {
  const record = { dep: 'k', level: 'bounded', shown, marked: false, boundMs: 2_000 } as const;
  return { ...record, begun: at(atMs), ended: at(atMs), ...over };
}

const rules = (writes: readonly WriteRecord[], ...reads: ReadRecord[]) =>
  judgeHistory(writes, reads).map(({ rule }) => rule);

describe('the judge', () => {
  it('requires a strong read to show every change acknowledged before it began', () => {
    const writes = written(3);
    expect(rules(writes, read(3_000, 3, { level: 'strong' }))).toEqual([]);
    expect(rules(writes, read(3_000, 2, { level: 'strong' }))).toEqual(['strong']);
  });

  it('does not require a strong read to show changes acknowledged after it began', () => {
    const begun = at(500);
    expect(rules(written(3), { ...read(3_500, 1, { level: 'strong' }), begun })).toEqual([]);
  });

  it('requires a bounded read to show changes acknowledged longer ago than its bound', () => {
    const writes = written(3);
    expect(rules(writes, read(5_000, 2))).toEqual([]);
    expect(rules(writes, read(5_001, 2))).toEqual(['bounded']);
  });

  it('requires a read with a token to show every change that the token of its epoch covers', () => {
    const writes = written(3);
    expect(rules(writes, read(3_000, 2, { token: token(2) }))).toEqual([]);
    expect(rules(writes, read(3_000, 2, { token: token(3) }))).toEqual(['session']);
    expect(rules(writes, read(3_000, 2, { token: token(3, 'another') }))).toEqual([]);
  });

  it('does not allow a session to go back behind an earlier answer', () => {
    const writes = written(3);
    const first = read(3_000, 3, { session: 's', token: token(0) });
    const second = read(3_001, 2, { session: 's', token: token(2) });
    expect(rules(writes, first, second)).toEqual(['monotonic']);
    expect(rules(writes, first, { ...second, session: 'another' })).toEqual([]);
  });

  it('requires a read to show unannounced commits after the bound of the source', () => {
    const [first] = written(1);
    if (first === undefined) throw new Error('One was written.');
    const unannounced: WriteRecord[] = [{ ...first, acknowledged: undefined, token: undefined }];
    const source = { sourceBoundMs: 10_000 };
    expect(rules(unannounced, read(13_000, 'absent', source))).toEqual([]);
    expect(rules(unannounced, read(13_001, 'absent', source))).toEqual(['source-bound']);
  });

  it('rejects a version that was not written yet, and a version that was an absence', () => {
    expect(rules(written(1), read(3_000, 2))).toEqual(['from-the-future']);
    expect(rules(written(2, [2]), read(3_000, 2))).toEqual(['never-existed']);
  });

  it('treats an absence as the newest absence that it can be', () => {
    expect(rules(written(3, [2]), read(4_500, 'absent'))).toEqual([]);
    expect(rules(written(3, [2]), read(5_001, 'absent'))).toEqual(['bounded']);
    expect(rules(written(3, [1]), read(4_500, 'absent'))).toEqual(['bounded']);
  });

  it('requires of a token everything that any unmarked answer showed with it or with a smaller one', () => {
    const writes = written(3).map((write) => ({ ...write, acknowledged: undefined, token: undefined }));
    const shown = read(3_000, 3, { tokenOut: token(7) });
    const late = read(3_100, 2, { token: token(7) });
    expect(rules(writes, shown, late)).toEqual(['shared-token']);
    expect(rules(writes, late, shown)).toEqual(['shared-token']);
    expect(rules(writes, shown, { ...late, token: token(6) })).toEqual([]);
    expect(rules(writes, shown, { ...late, token: token(7, 'another') })).toEqual([]);
    expect(rules(writes, { ...shown, marked: true }, late)).toEqual([]);
  });

  it('treats an absence as the oldest one that it can be when it judges later reads', () => {
    const writes = written(3, [3]).map((write) => ({ ...write, acknowledged: undefined, token: undefined }));
    const absent = read(3_000, 'absent', { tokenOut: token(7) });
    expect(rules(writes, absent, read(3_100, 2, { token: token(7) }))).toEqual([]);
  });

  it('does not excuse a marked answer to a strong read, or to one with a token', () => {
    expect(rules(written(3), read(4_000, 2, { level: 'strong', marked: true }))).toEqual(['strong']);
    expect(rules(written(3), read(4_000, 2, { token: token(3), marked: true }))).toEqual(['session']);
  });

  it('requires of a marked answer only that it was true at some time', () => {
    expect(rules(written(3), read(9_000, 1, { marked: true }))).toEqual([]);
    expect(rules(written(3), read(9_000, 4, { marked: true }))).toEqual(['from-the-future']);
  });
});
