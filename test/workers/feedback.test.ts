import { env, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { FeedbackStore } from '../../durable-objects/feedback/store.ts';
import { linesOf, recordsIn } from '../../src/inference/feedback/record.ts';
import { countsOf, type Trial, withLabel } from '../../src/inference/feedback/trials.ts';
import { r2ServedLog, servedBefore } from '../../src/storage/served-files.ts';
import { recordWith } from '../support/feedback/answers.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const DAY_MS = 86_400_000;
const PROGRESS = {
  ...{ sinceMs: NOW, file: '', seq: 0, targetMs: NOW, targetSeq: 0 },
  ...{ nextMs: NOW, nextSeq: 0 },
};
const trialOf = (key: string): Trial => ({
  ...{ model: 'ranker', version: 'v1', key, atMs: NOW, closesMs: NOW + DAY_MS, dueMs: NOW + DAY_MS },
  ...{ rollout: null, isExplored: false, items: ['a', 'b'], answer: null, labelledMs: null, hits: [] },
});

describe('the log in R2', () => {
  it('is listed in the order of time, read, rewritten, and deleted by its day', async () => {
    const files = r2ServedLog(env.MODELS);
    const records = ['ada', 'bob', 'cid'].map((key) => recordWith({ key }));
    for (const [at, record] of records.entries())
      await files.put(NOW - (3 - at) * DAY_MS, `file-${at}`, linesOf([record]));
    const { keys, hasMore } = await files.list(servedBefore(NOW - 3 * DAY_MS), 2);
    expect([keys, hasMore]).toEqual([
      ['served/2026-11-20/120000000Z-file-0.jsonl', 'served/2026-11-21/120000000Z-file-1.jsonl'],
      true,
    ]);
    const [first = '', second = ''] = keys;
    expect(recordsIn((await files.read(first)) ?? '')).toEqual([records[0]]);
    await files.rewrite(second, '');
    expect(await files.read(second)).toBe('');
    await env.MODELS.put(second, Uint8Array.of(0xff));
    expect(await files.read(second)).toBeUndefined();
    // Two days old, to the millisecond.
    expect(await files.removeBefore(NOW - 2 * DAY_MS)).toBe(1);
    expect(await files.removeBefore(NOW - 2 * DAY_MS)).toBe(0);
    expect(await files.read(first)).toBeUndefined();
    expect((await files.list(servedBefore(0), 10)).keys).toHaveLength(2);
  });
});

describe('the object that joins', () => {
  it('works once a minute, and answers what it has', async () => {
    const stub = env.FEEDBACK.getByName('alarm');
    await stub.wake();
    await stub.wake();
    // There is no database here, so the step fails, and the alarm retries.
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    await runInDurableObject(stub, async (_, state) => {
      expect(await state.storage.getAlarm()).not.toBeNull();
      await state.storage.deleteAlarm();
    });
    expect(await stub.counts('ranker', '2026-11-01')).toEqual({ counts: [], pending: [] });
  });

  it('reads and writes these rows', async () => {
    await runInDurableObject(env.FEEDBACK.getByName('cost'), (_, state) => {
      const counted = new CountedStorage(state.storage);
      const { storage } = counted;
      const rowsOf = (work: () => unknown) => {
        const { read, written } = counted.counted(work);
        return { read, written };
      };
      const store = new FeedbackStore(storage);
      const trials = Array.from({ length: 100 }, (__, at) => trialOf(`customer-${at}`));
      const counts = [{ model: 'ranker', version: 'v1', day: '2026-11-23', name: 'answers', n: 100 }];
      store.save(PROGRESS);
      const figures = {
        'a file that opens 100 trials': rowsOf(() =>
          store.addFile(counts, trials, { ...PROGRESS, file: 'a' }),
        ),
        'a file of the same entities': rowsOf(() =>
          store.addFile(counts, trials, { ...PROGRESS, file: 'b' }),
        ),
        'labels of 10 of them': rowsOf(() =>
          store.addLabels(
            [{ model: 'ranker', keys: trials.slice(0, 10).map(({ key }) => key) }],
            (trial) => withLabel(trial, { occurredAt: NOW + 1, value: 'b' }, { hits: () => false }),
            PROGRESS,
          ),
        ),
        'the end of 100 trials': rowsOf(() => store.end(NOW + DAY_MS, 500, countsOf)),
      };
      expect(figures).toEqual({
        'a file that opens 100 trials': { read: 4, written: 302 },
        'a file of the same entities': { read: 104, written: 2 },
        'labels of 10 of them': { read: 52, written: 11 },
        'the end of 100 trials': { read: 512, written: 106 },
      });
      expect(store.counts('ranker', '2026-11-23').counts).toContainEqual({
        version: 'v1',
        name: 'hits',
        n: 10,
      });
      store.prune('2026-11-24');
      expect(store.counts('ranker', '2026-01-01')).toEqual({ counts: [], pending: [] });
    });
  });
});
