import { describe, expect, it } from 'vitest';
import type { HistoryPort } from '../../../src/features/join-history.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import { Failure } from '../../../src/platform/failure.ts';
import { type Made, makeDataset, type Row, specOf } from '../../support/datasets/memory.ts';
import { ROOMS } from '../../support/datasets/models.ts';
import { type Asked, mistakeOfRows } from '../../support/datasets/oracle.ts';
import { datasetsHold, madeOf, never } from '../../support/datasets/property.ts';
import { historyInMemory } from '../../support/point-in-time/in-memory.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12);

/** Visits of three guests to three rooms over 20 days, every 7 hours, each stored 8 hours later. */
function visits(): RecordedEvent[] {
  return Array.from({ length: 68 }, (_, index) => {
    const occurredAt = NOW - 20 * DAY_MS + index * 7 * HOUR_MS;
    const guests = [String((index % 3) + 1), ...(index % 5 === 0 ? [String(((index + 1) % 3) + 1)] : [])];
    const data = { guests, paid: (index * 37) % 100, room: String(((index * 7) % 3) + 1) };
    return { seq: index + 1, type: 'visit.v1', occurredAt, recordedAt: occurredAt + 8 * HOUR_MS, data };
  });
}

const asked: Asked = { kind: 'paid', asOf: NOW, knowledge: 'row' };

async function made(of: Promise<Made | undefined>): Promise<Made> {
  const dataset = await of;
  if (dataset === undefined) throw new Error('The dataset has no rows.');
  return dataset;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
}

describe('a dataset', () => {
  it('has the rows of the naive join, for any events, limits and evictions', async () => {
    const { mistake, rows, divided } = await datasetsHold(11, 100);
    expect(mistake).toBeUndefined();
    expect(rows).toBeGreaterThan(500);
    expect(divided).toBeGreaterThan(2);
  });

  it('knows nothing of an event of the future, nor of one that was stored later', async () => {
    const events = visits();
    const [first] = events;
    if (first === undefined) throw new Error('There is one.');
    const { rows } = await made(madeOf(events, asked));
    const at = NOW - 2 * DAY_MS;
    const late = { ...first, seq: 900, occurredAt: at - 5 * DAY_MS, recordedAt: NOW - HOUR_MS };
    const future = { ...first, seq: 901, occurredAt: at + HOUR_MS, recordedAt: at - DAY_MS };
    const planted = await made(madeOf([...events, late, future], asked));
    const until = (of: Made['rows'], end: number) =>
      of.filter((row) => Number(row['at']) < end).map((row): Row => ({ ...row, split: '' }));
    // The event that came to be known later is a row of its own, and changes no other one before it was known.
    const others = until(planted.rows, at + HOUR_MS).filter((row) => Number(row['at']) !== late.occurredAt);
    expect(others).toEqual(until(rows, at + HOUR_MS));
    // Whoever counts it as known from the beginning has other rows.
    const all = { ...asked, knowledge: 'snapshot' } as const;
    const counted = await made(madeOf([...events, late, future], all));
    expect(until(counted.rows, at)).not.toEqual(until((await made(madeOf(events, all))).rows, at));
    // Stored after the snapshot, it does not exist.
    const after = { ...late, recordedAt: NOW + 1 };
    expect((await made(madeOf([...events, after], all))).manifest.digest).toBe(
      (await made(madeOf(events, all))).manifest.digest,
    );
  });

  it('is caught by the oracle where it leaks, loses a row or mixes its splits', async () => {
    const events = visits();
    const careless: HistoryPort = {
      ...historyInMemory(events, never),
      // It takes each event as known from the moment it happened.
      read: async (range, page) => {
        const forgetful = events.map((event) => ({ ...event, recordedAt: event.occurredAt }));
        return await historyInMemory(forgetful, never).read(range, page);
      },
    };
    const { rows } = await made(madeOf(events, asked));
    expect(mistakeOfRows(events, asked, rows)).toBeUndefined();
    const leaking = await made(madeOf(events, asked, {}, careless));
    expect(mistakeOfRows(events, asked, leaking.rows)).toMatch(/ is .* instead of /);
    expect(mistakeOfRows(events, asked, rows.slice(1))).toMatch(/^The rows are /);
    const moved = rows.map((row) => (row.split === 'test' ? { ...row, split: 'train' } : row));
    expect(mistakeOfRows(events, asked, moved)).toMatch(/^The rows are /);
  });

  it('has the same digest when it is made again, after evictions, and another one with another seed', async () => {
    const spec = { asOf: NOW, from: null, to: null, knowledge: 'row', seed: 3 } as const;
    const history = historyInMemory(visits(), never);
    const once = await makeDataset(ROOMS, specOf(ROOMS, spec), history);
    const again = await makeDataset(ROOMS, once.manifest.spec, history, {
      isEvicted: (step) => step % 3 === 0 && step < 60,
    });
    expect(again.steps).toBeGreaterThan(once.steps);
    expect(again.manifest).toEqual(once.manifest);
    expect([...again.files]).toEqual([...once.files]);
    const other = await makeDataset(ROOMS, specOf(ROOMS, { ...spec, seed: 4 }), history);
    expect(other.manifest.digest).not.toBe(once.manifest.digest);
    // The seed decides which items are sampled, and nothing else.
    const positives = ({ rows }: Made) => rows.filter(({ label }) => label === 1);
    expect(positives(other)).toEqual(positives(once));
  });

  it('has a manifest that says what it is', async () => {
    const { manifest, rows, files } = await made(madeOf(visits(), { ...asked, kind: 'rooms' }));
    const { from, validation, test, to } = manifest.bounds;
    expect([test - validation, to - test]).toEqual([3 * DAY_MS, 3 * DAY_MS]);
    expect(manifest.rows.train + manifest.rows.validation + manifest.rows.test).toBe(rows.length);
    expect(Math.min(...rows.map(({ at }) => Number(at)))).toBeGreaterThanOrEqual(from);
    expect(manifest.files.map(({ name, bytes }) => [name, bytes])).toEqual(
      [...files].map(([name, bytes]) => [name, bytes.byteLength]),
    );
    expect(manifest.columns.slice(0, 6).map(({ name, role, type }) => [name, role, type])).toEqual([
      ['at', 'time', 'timestamp'],
      ['customer', 'key', 'string'],
      ['product', 'item', 'string'],
      ['label', 'label', 'double'],
      ['weight', 'weight', 'double'],
      ['visits_30m', 'feature', 'double'],
    ]);
    expect(manifest.columns.at(-1)?.feature).toEqual({
      ...{ entity: 'product', name: 'visits_1h' },
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    // A row whose label is decided in the next part's time belongs to none.
    const trained = rows.filter(({ split }) => split === 'train').map(({ at }) => Number(at));
    expect(Math.max(...trained)).toBeLessThanOrEqual(validation - 2 * DAY_MS);
  });

  it('is refused with a code where it is too large, empty, or declared otherwise meanwhile', async () => {
    const history = historyInMemory(visits(), never);
    const spec = specOf(ROOMS, { asOf: NOW, from: null, to: null, knowledge: 'row', seed: 3 });
    for (const limits of [
      { keysMax: 2 },
      { itemsMax: 2 },
      { momentsMax: 5 },
      { partsMax: 1, partTouchesMax: 40 },
      { partTouchesMax: 5 },
      { partValuesMax: 10 },
      { partCellsMax: 10 },
    ])
      expect([limits, await codeOf(makeDataset(ROOMS, spec, history, { limits }))]).toEqual([
        limits,
        'dataset_too_large',
      ]);
    expect(await codeOf(makeDataset(ROOMS, { ...spec, to: NOW - 18 * DAY_MS }, history))).toBe(
      'dataset_empty',
    );
    await expect(makeDataset(ROOMS, { ...spec, asOf: NOW - 900 * DAY_MS }, history)).rejects.toMatchObject({
      code: 'dataset_empty',
      message: expect.stringContaining(
        `(visit.v1) of that time was stored by ${new Date(NOW - 900 * DAY_MS).toISOString()}`,
      ),
    });
    expect(await codeOf(makeDataset(ROOMS, { ...spec, recipe: 'other' }, history))).toBe('recipe_changed');
    const pruned: HistoryPort = {
      ...history,
      pruned: async () => [
        { target: 'events:visit.v1', rows: 3, until: new Date(NOW - 30 * DAY_MS).toISOString() },
      ],
    };
    expect(await codeOf(makeDataset(ROOMS, spec, pruned))).toBe('history_pruned');
  });

  it('reads history once to count and twice for each part, and writes a file for each split of a part', async () => {
    const events = visits();
    const reads = { events: 0 };
    const inMemory = historyInMemory(events, never);
    const counted: HistoryPort = {
      ...inMemory,
      read: async (range, page) => {
        const read = await inMemory.read(range, page);
        reads.events += read.events.length;
        return read;
      },
    };
    const { files, rows, parts } = await made(
      madeOf(events, { ...asked, knowledge: 'snapshot' }, {}, counted),
    );
    const bytes = [...files.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect([parts, files.size]).toEqual([1, 3]);
    // The join ends with the last row, so it may read less.
    expect(reads.events).toBeLessThanOrEqual(3 * events.length);
    expect(reads.events).toBeGreaterThan(2 * events.length);
    expect(bytes / rows.length).toBeLessThan(150);
  });
});
