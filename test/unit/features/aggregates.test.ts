import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, feature } from '../../../src/define/feature.ts';
import type { FeatureValue } from '../../../src/define/feature-value.ts';
import { cellsOf, type FoldableEvent, mergeCells } from '../../../src/features/fold.ts';
import { readFeature } from '../../../src/features/read.ts';
import { oldestTile } from '../../../src/features/retention.ts';
import { featureOfSlot, rowsOfKeyMax, slotsOf } from '../../../src/features/slots.ts';
import { customer } from '../../support/catalog/entities.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 23, 12, 7, 31);

const Visit = z.object({
  guests: z.array(z.string()),
  paid: z.number().nullable(),
  room: z.string(),
});
type Visit = z.output<typeof Visit>;
const visit = event({ type: 'visit', version: 1, description: 'A visit.', data: Visit, stores: () => [] });
const of = { entity: customer, event: visit, key: ({ guests }: Visit) => guests };
const paid = ({ paid }: Visit) => paid;
const windows = ['30m', '6h', '7d', '1y', 'lifetime'] as const;

const FEATURES: readonly FeatureDefinition[] = [
  feature.count({ ...of, name: 'visits', windows }),
  feature.sum({ ...of, name: 'paid_sum', windows, value: paid }),
  feature.sum({ ...of, name: 'paid_cents', windows, value: paid, numbers: { decimals: 2 } }),
  feature.mean({ ...of, name: 'paid_mean', windows, value: paid }),
  feature.variance({ ...of, name: 'paid_variance', windows, value: paid, numbers: { decimals: 2 } }),
  feature.min({ ...of, name: 'paid_min', windows, value: paid }),
  feature.max({ ...of, name: 'paid_max', windows, value: paid }),
  feature.firstValue({ ...of, name: 'first_room', windows, value: ({ room }) => room }),
  feature.lastValue({ ...of, name: 'last_paid', windows, value: paid }),
  feature.distinct({ ...of, name: 'rooms', windows, value: ({ room }) => room }),
  feature.decayed({ ...of, name: 'recent', halfLife: '6h' }),
  feature.sinceLast({ ...of, name: 'since' }),
];

const UNIT_MS = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, y: 365 * DAY_MS };
const TILE_MS = { m: MINUTE_MS, h: 15 * MINUTE_MS, d: DAY_MS, y: 5 * DAY_MS };

interface Told {
  readonly seq: number;
  readonly occurredAt: number;
  readonly data: Visit;
}

/** Every value, recomputed from all events of one guest: the oracle shares no code with the folds. */
function recomputed(name: string, window: string, events: readonly Told[], now: number): unknown {
  const [, count = '', unit = ''] = /^(\d+)([mhdy])$/.exec(window) ?? [];
  const isInside = ({ occurredAt }: Told) => {
    if (unit === '') return true;
    const tile = TILE_MS[unit as keyof typeof TILE_MS];
    const end = (Math.floor(now / tile) + 1) * tile;
    return occurredAt < end && occurredAt >= end - Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  };
  const inside = events.filter(isInside).sort((a, b) => a.occurredAt - b.occurredAt || a.seq - b.seq);
  const cents = inside.flatMap(({ data }) => (data.paid === null ? [] : [Math.round(data.paid * 100)]));
  const total = cents.reduce((sum, value) => sum + value, 0);
  const valued = inside.filter(({ data }) => data.paid !== null);
  const none = cents.length === 0;
  switch (name) {
    case 'visits':
      return inside.length;
    case 'paid_cents':
      return total / 100;
    case 'paid_variance': {
      const square = cents.reduce((sum, value) => sum + BigInt(value) ** 2n, 0n);
      const n = BigInt(cents.length);
      return none ? null : Number(n * square - BigInt(total) ** 2n) / Number(n * n * 10_000n);
    }
    case 'paid_min':
      return none ? null : Math.min(...cents) / 100;
    case 'paid_max':
      return none ? null : Math.max(...cents) / 100;
    case 'first_room':
      return inside[0]?.data.room ?? null;
    case 'last_paid':
      return valued.at(-1)?.data.paid ?? null;
    case 'rooms':
      return new Set(inside.map(({ data }) => data.room)).size;
    default:
      return undefined;
  }
}

const GUESTS = ['ann', 'bob'];
const moment = fc.oneof(
  fc.integer({ min: NOW - 2 * HOUR_MS, max: NOW }),
  fc.integer({ min: NOW - 9 * DAY_MS, max: NOW }),
  fc.integer({ min: NOW - 500 * DAY_MS, max: NOW + HOUR_MS }),
);
const history = fc
  .array(
    fc.record({
      occurredAt: moment,
      data: fc.record({
        guests: fc.subarray(GUESTS),
        paid: fc.option(fc.integer({ min: -5_000, max: 500_000 }).map((cents) => cents / 100)),
        room: fc.integer({ min: 1, max: 80 }).map(String),
      }),
    }),
    { maxLength: 80 },
  )
  .map((events) => events.map((told, index) => ({ seq: index + 1, ...told })));

const foldable = (told: Told): FoldableEvent => ({ type: 'visit.v1', ...told });
const folded = (events: readonly Told[]) =>
  mergeCells(events.flatMap((told) => cellsOf(FEATURES, foldable(told))));

function read(cells: ReturnType<typeof folded>, key: string, now: number): Record<string, FeatureValue> {
  const own = Map.groupBy(
    cells.filter((cell) => cell.key === key),
    (cell) => featureOfSlot(cell.feature),
  );
  return Object.assign(
    {},
    ...FEATURES.map((definition) => readFeature(definition, own.get(definition.name) ?? [], now)),
  );
}

describe('aggregates over windows in tiles', () => {
  it('are what all events say, for each window and each of several keys of an event', () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 3 * DAY_MS }), (events, later) => {
        const now = NOW + later;
        const cells = folded(events);
        for (const guest of GUESTS) {
          const own = events.filter(({ data }) => data.guests.includes(guest));
          const row = read(cells, guest, now);
          for (const { name } of FEATURES)
            for (const window of windows) {
              const owed = recomputed(name, window, own, now);
              if (owed === undefined) continue;
              const told = row[window === 'lifetime' ? name : `${name}_${window}`];
              expect({ name, window, value: told?.value }).toEqual({ name, window, value: owed });
              const status = own.length === 0 ? 'NOT_FOUND' : owed === null ? 'NULL_VALUE' : 'PRESENT';
              expect(told?.status).toBe(own.length === 0 || told?.eventAt !== null ? status : 'NOT_FOUND');
            }
          const last = Math.max(...own.map(({ occurredAt }) => occurredAt));
          if (own.length > 0) expect(row['since']?.value).toBe(Math.max(0, now - last) / 1_000);
        }
      }),
    );
  });

  it('have one state, to the last bit, whatever the order and the batches', () => {
    fc.assert(
      fc.property(history, fc.nat(), (events, seed) => {
        const other = [...events].sort(
          (a, b) => ((a.seq * 7919 + seed) % 101) - ((b.seq * 7919 + seed) % 101),
        );
        const cut = seed % (events.length + 1);
        const parts = mergeCells([...folded(other.slice(cut)), ...folded(other.slice(0, cut))]);
        const sorted = (cells: typeof parts) => cells.map((cell) => JSON.stringify(cell)).sort();
        expect(sorted(parts)).toEqual(sorted(folded(events)));
      }),
    );
  });

  it('keep for reads what those as of the horizon need, and a stated number of rows', () => {
    const horizon = Math.floor(NOW / DAY_MS) - 2;
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 3 * DAY_MS }), (events, later) => {
        const cells = folded(events);
        const slots = new Map(FEATURES.flatMap(slotsOf).map((slot) => [slot.name, slot]));
        const left = cells.filter(({ feature: name, bucket }) => {
          const slot = slots.get(name);
          return slot !== undefined && bucket >= oldestTile(slot, horizon);
        });
        const at = horizon * DAY_MS + later;
        expect(read(left, 'ann', at)).toEqual(read(cells, 'ann', at));
      }),
    );
    expect(FEATURES.slice(0, 1).map(rowsOfKeyMax)).toEqual([30 + 24 + 7 + 73 + 1]);
  });

  it('add up numbers that doubles would lose, and refuse those of another kind', () => {
    const at = (seq: number, paid: number | null): Told => ({
      seq,
      occurredAt: NOW,
      data: { guests: ['ann'], paid, room: '1' },
    });
    const row = read(folded([at(1, 1e300), at(2, 1), at(3, -1e300), at(4, null)]), 'ann', NOW);
    expect(row['paid_sum']).toEqual({ value: 1, status: 'PRESENT', eventAt: NOW });
    expect(row['paid_mean']?.value).toBe(1 / 3);
    expect(row['visits']?.value).toBe(4);
    const only = read(folded([at(1, null)]), 'ann', NOW);
    expect(only['paid_mean']).toEqual({ value: null, status: 'NULL_VALUE', eventAt: NOW });
    expect(only['paid_sum']).toEqual({ value: 0, status: 'PRESENT', eventAt: NOW });
    const whole = feature.sum({ ...of, name: 'whole', windows: ['7d'], value: paid, numbers: 'integer' });
    expect(() => cellsOf([whole], foldable(at(1, 0.5)))).toThrow(
      /"whole" takes from an event 0\.5, which is no safe integer/,
    );
    const big = 2 ** 53 - 1;
    const sums = mergeCells([1, 2, 3].flatMap((seq) => cellsOf([whole], foldable(at(seq, big)))));
    expect(readFeature(whole, sums, NOW)['whole_7d']?.value).toBe(Number(3n * BigInt(big)));
  });

  it('are not served beyond their time to live', () => {
    const aged = feature.count({ ...of, name: 'aged', windows: ['lifetime', '7d'], ttl: '1h' });
    const cells = cellsOf(
      [aged],
      foldable({ seq: 1, occurredAt: NOW, data: { guests: ['ann'], paid: 1, room: '1' } }),
    );
    const present = { value: 1, status: 'PRESENT', eventAt: NOW };
    expect(readFeature(aged, cells, NOW + HOUR_MS)).toEqual({ aged: present, aged_7d: present });
    const old = { value: null, status: 'OUTSIDE_MAX_AGE', eventAt: NOW };
    expect(readFeature(aged, cells, NOW + HOUR_MS + 1)).toEqual({ aged: old, aged_7d: old });
    expect(readFeature(aged, [], NOW)['aged']).toEqual({ value: 0, status: 'NOT_FOUND', eventAt: null });
  });
});
