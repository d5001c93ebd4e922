import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  FeedStore,
  KEPT_BYTES_MAX,
  KEPT_CHANGES_MAX,
  KEPT_MS,
  PAGE_CHANGES_MAX,
  PRUNED_SEGMENTS_MAX,
  SEGMENT_BYTES_MAX,
} from '../../durable-objects/change-feed/store.ts';
import type { FeedChange } from '../../src/pipeline/feed/change.ts';
import { type CountedRows, CountedStorage } from '../support/worker/counted-storage.ts';

/** What a question may read beside the rows that it gives or writes. */
const SPARE_ROWS = 3;

/** The ids of a full log, which the first append after a start reads. */
const KNOWN_ROWS = 3;
/** A start reads the steps of the schema, the epoch, the oldest and the newest segment. */
const START_ROWS = 5;

function changes(from: number, count: number, characters = 50): FeedChange[] {
  return Array.from({ length: count }, (_, index) => ({
    change: from + index,
    type: 'shop.purchase.v1',
    time: '2026-11-28T12:00:00.000Z',
    entities: [`product:${from + index}`, `customer:${'x'.repeat(characters)}`],
    token: '0e0e0e0e-0000-4000-8000-000000000001.123456',
  }));
}

interface Log {
  readonly title: string;
  readonly batches: number;
  /** Changes of a batch. */
  readonly size: number;
  /** Characters of each change, beside some 150. */
  readonly characters?: number;
  /** The most rows that an append writes on average, with those that it removes. */
  readonly writtenMax: number;
}

/** A log after appends that came some milliseconds apart. */
async function inLog(
  { batches, size, characters }: Log,
  test: (log: {
    readonly counted: CountedStorage;
    readonly open: () => FeedStore;
    readonly nowMs: number;
    readonly written: number;
  }) => void,
) {
  await runInDurableObject(env.CHANGE_FEED.getByName(crypto.randomUUID()), (_, state) => {
    const counted = new CountedStorage(state.storage);
    const open = () => new FeedStore(counted.storage, () => 'unused');
    const store = open();
    let nowMs = 0;
    let written = 0;
    for (let batch = 0; batch < batches; batch += 1) {
      nowMs += 10;
      const work = () => store.append(changes(batch * size, size, characters), nowMs);
      written += counted.counted(work).written;
    }
    test({ counted, open, nowMs, written });
  });
}

const LOGS: readonly Log[] = [
  { title: '10,000 batches of one change', batches: 10_000, size: 1, writtenMax: 1.1 },
  {
    title: '10,000 batches of ten changes: as many changes as are kept',
    batches: 10_000,
    size: 10,
    writtenMax: 1.2,
  },
  { title: '40 batches of 4,000 changes: more than are kept', batches: 40, size: 4_000, writtenMax: 20 },
  {
    title: '4,000 batches of one change of 20 KB: more bytes than are kept',
    batches: 4_000,
    size: 1,
    characters: 20_000,
    writtenMax: 3,
  },
];

describe.each(LOGS)('a log of $title', (log) => {
  it('reads for each question at most three rows more than it gives', async () => {
    await inLog(log, ({ counted, open, nowMs }) => {
      const asked = <T>(question: string, given: (result: T) => number, work: () => T): CountedRows => {
        const { result, ...rows } = counted.counted(work);
        expect.soft(rows.read, question).toBeLessThanOrEqual(given(result) + SPARE_ROWS);
        return rows;
      };
      const none = () => 0;
      const kept = (page: readonly unknown[]) => page.length;
      const { result: store, ...start } = counted.counted(open);
      expect(start).toEqual({ read: START_ROWS, written: 0 });
      const { floor, newest } = store.kept();
      const append = (question: string, from: number, size = log.size, spare = SPARE_ROWS) => {
        const before = segmentsOf(counted);
        const rows = counted.counted(() => store.append(changes(from, size), nowMs));
        // A written row is read to find its place. A segment that leaves the log is read once more, to see that it is due.
        const given = rows.written + removedBetween(before, segmentsOf(counted));
        expect.soft(rows.read, question).toBeLessThanOrEqual(given + spare);
        return rows;
      };
      append('first append after a start', 10_000_000, log.size, SPARE_ROWS + KNOWN_ROWS);
      append('append', 20_000_000);
      expect(append('append of what the log has', 20_000_000).written).toBe(0);
      expect(append('append of an old duplicate', newest - 2, 1).written).toBe(0);
      expect(store.kept().newest).toBe(newest + 2 * log.size);
      asked('newest position', none, () => store.kept());
      asked('page at the newest position', kept, () => store.page(store.kept().newest));
      asked('page of the newest changes', kept, () => store.page(store.kept().newest - 5));
      asked('page of the oldest changes', kept, () => store.page(store.kept().floor));
      asked('page in the middle', kept, () => store.page(Math.floor((floor + newest) / 2)));
      asked('pruning of nothing', none, () => store.prune(nowMs));
      const before = segmentsOf(counted);
      asked(
        'pruning of one step',
        () => 2 * removedBetween(before, segmentsOf(counted)),
        () => store.prune(nowMs + 2 * KEPT_MS),
      );
      const removed = removedBetween(before, segmentsOf(counted));
      expect(removed).toBe(Math.min(PRUNED_SEGMENTS_MAX, before.length - 1));
    });
  });

  it('writes few rows, and keeps no more than its bounds', async () => {
    await inLog(log, ({ counted, open, written }) => {
      const { floor, newest } = open().kept();
      expect(newest - floor).toBeLessThanOrEqual(KEPT_CHANGES_MAX + PAGE_CHANGES_MAX);
      const bytes = counted.storage.sql
        .exec('select sum(octet_length(changes)) as bytes from segments')
        .one()['bytes'];
      expect(bytes).toBeLessThanOrEqual(KEPT_BYTES_MAX + SEGMENT_BYTES_MAX);
      expect(written / log.batches, 'rows written for each append').toBeLessThanOrEqual(log.writtenMax);
    });
  });
});

/** First numbers of the segments. */
function segmentsOf({ storage }: CountedStorage): number[] {
  const rows = storage.sql.exec<{ first_seq: number }>('select first_seq from segments order by first_seq');
  return rows.toArray().map((row) => row.first_seq);
}

function removedBetween(before: readonly number[], after: readonly number[]): number {
  return before.filter((first) => first < (after[0] ?? 0)).length;
}
