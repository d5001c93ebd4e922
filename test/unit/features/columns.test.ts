import {
  bigint,
  boolean,
  date,
  integer,
  jsonb,
  numeric,
  pgEnum,
  pgTable,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { assemble } from '../../../src/define/catalog.ts';
import { entity } from '../../../src/define/entity.ts';
import { event } from '../../../src/define/event.ts';
import { type FeatureDefinition, type FeatureReference, feature } from '../../../src/define/feature.ts';
import type { FeatureRow, FeatureValue } from '../../../src/define/feature-value.ts';
import { NO_TILE } from '../../../src/define/feature-window.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { answerOf } from '../../../src/features/answer.ts';
import { cellRulesOf, isPacked, versionOf } from '../../../src/features/cell-rule.ts';
import { cellsOf, mergeCells } from '../../../src/features/fold.ts';
import { joinHistory } from '../../../src/features/join-history.ts';
import type { AsOfRequest, RecordedEvent } from '../../../src/features/point-in-time.ts';
import { readRow } from '../../../src/features/read.ts';
import { rowOf } from '../../../src/inference/row.ts';
import { rowChangesTarget } from '../../../src/storage/postgres/row-change-retention.ts';
import { describedColumns } from '../../../src/training/datasets/manifest.ts';
import { historyInMemory } from '../../support/point-in-time/in-memory.ts';

const kindOf = pgEnum('kind', ['dock', 'rack']);
const stations = pgTable('stations', {
  id: integer('id').primaryKey(),
  district: text('district'),
  capacity: integer('capacity').notNull(),
  fare: numeric('fare'),
  serial: bigint('serial', { mode: 'bigint' }),
  isOpen: boolean('is_open'),
  kind: kindOf('kind'),
  openedOn: date('opened_on'),
  checkedAt: timestamp('checked_at', { withTimezone: true, mode: 'string' }),
  extras: jsonb('extras'),
});
const others = pgTable('others', { id: integer('id').primaryKey(), size: integer('size') });
const station = entity({ name: 'station', table: stations, key: stations.id });

const district = feature.column({ name: 'district', entity: station, column: stations.district });
const capacity = feature.column({ name: 'capacity', entity: station, column: stations.capacity });
const fare = feature.column({ name: 'fare', entity: station, column: stations.fare });
const serial = feature.column({ name: 'serial', entity: station, column: stations.serial });
const isOpen = feature.column({ name: 'is_open', entity: station, column: stations.isOpen });
const kind = feature.column({ name: 'kind', entity: station, column: stations.kind });
const openedOn = feature.column({ name: 'opened_on', entity: station, column: stations.openedOn });
const checkedAt = feature.column({ name: 'checked_at', entity: station, column: stations.checkedAt });
const FEATURES: readonly FeatureDefinition[] = [
  ...[district, capacity, fare, serial, isOpen],
  ...[kind, openedOn, checkedAt],
];
const TYPE = 'millrace.row.station.v1';
const NOW = Date.UTC(2026, 10, 23, 12);

function change(seq: number, key: string, row: object | null, at = NOW + seq): RecordedEvent {
  return { seq, type: TYPE, occurredAt: at, recordedAt: at, data: { key, row } };
}

function folded(events: readonly RecordedEvent[], key: string, now: number): FeatureRow {
  const cells = mergeCells(events.flatMap((event) => cellsOf(FEATURES, event)));
  return readRow(
    FEATURES,
    cells.filter((cell) => cell.key === key),
    now,
  );
}
const valuesOf = (row: FeatureRow) =>
  Object.fromEntries(Object.entries(row).map(([name, { value }]) => [name, value]));

describe('a declared column', () => {
  it('has the type of its values', () => {
    expectTypeOf(district.value()).toEqualTypeOf<FeatureReference<typeof station, string | null>>();
    expectTypeOf(capacity.value()).toEqualTypeOf<FeatureReference<typeof station, number | null>>();
    expectTypeOf(fare.value()).toEqualTypeOf<FeatureReference<typeof station, number | null>>();
    expectTypeOf(openedOn.value()).toEqualTypeOf<FeatureReference<typeof station, number | null>>();
    expectTypeOf(kind.value()).toEqualTypeOf<FeatureReference<typeof station, 'dock' | 'rack' | null>>();
    expectTypeOf(kind.is('dock')).toEqualTypeOf<FeatureReference<typeof station, number | null>>();
    // @ts-expect-error The enum has no such value.
    kind.is('shed');
    // @ts-expect-error The column is of another table.
    feature.column({ name: 'size', entity: station, column: others.size });
  });

  it('is refused if it is of another table, a part of the key, or of a type that no feature has', () => {
    const wrong = {
      other: feature.column({ name: 'other', entity: station, column: others.size as never }),
      key: feature.column({ name: 'key', entity: station, column: stations.id }),
      extras: feature.column({ name: 'extras', entity: station, column: stations.extras }),
    };
    const problems = validateCatalog(assemble({ entities: { station }, features: wrong }));
    expect(problems.map(({ problem }) => problem)).toEqual([
      'Its column "size" is not of the table of "station".',
      'Its column "id" is a part of the key of "station".',
      'Its column "extras" is jsonb.',
    ]);
  });

  it('needs no event of the catalog, whose own types have other names', () => {
    expect(validateCatalog(assemble({ entities: { station }, features: { district } }))).toEqual([]);
    const taken = event({
      ...{ type: 'millrace.row.station', version: 1, description: 'x', stores: () => [] },
      data: {} as never,
    });
    const problems = validateCatalog(assemble({ entities: { station }, events: { taken } }));
    expect(problems.some(({ problem }) => problem.includes('Millrace'))).toBe(true);
  });

  it('is another version if it reads another column', () => {
    const renamed = feature.column({ name: 'district', entity: station, column: stations.kind });
    expect(versionOf(renamed).digest).not.toBe(versionOf(district).digest);
  });

  it('takes no row of a shard of its own: all columns of a key are in that of its lifetime features', () => {
    const rules = FEATURES.flatMap(cellRulesOf);
    expect(rules.map((rule) => [rule.tileMs, rule.tiles, isPacked(rule)])).toEqual(
      FEATURES.map(() => [NO_TILE, 0, true]),
    );
  });

  it('encodes a category for a model', () => {
    const encoded = ['dock', 'rack', null, undefined].map((stored) => kind.is('dock').read(stored, NOW));
    expect(encoded).toEqual([1, 0, null, null]);
    expect([true, false].map((stored) => isOpen.is(true).read(stored, NOW))).toEqual([1, 0]);
  });

  it('is marked in the manifest of a dataset as known since its capture', () => {
    const of = (reference: FeatureReference) => ({
      ...({ name: 'x', role: 'feature', type: 'double', reference } as const),
    });
    const rides = feature.count({
      name: 'rides',
      entity: station,
      event: event({ type: 'r', version: 1, description: 'r', data: {} as never, stores: () => [] }),
      key: () => 1,
      windowsDays: [1],
    });
    const columns = describedColumns([of(capacity.value()), of(rides.window(1))], () => 'digest');
    expect(columns.map((column) => column.feature)).toEqual([
      { entity: 'station', name: 'capacity', digest: 'digest', known: 'since_capture' },
      { entity: 'station', name: 'rides_1d', digest: 'digest' },
    ]);
  });
});

describe('the values of columns', () => {
  const row = {
    ...{ district: 'north', capacity: 12, fare: 2.5, serial: 7, isOpen: true, kind: 'rack' },
    ...{ openedOn: Date.UTC(2020, 0, 1), checkedAt: NOW },
  };

  it('are those of the last change, with its time', () => {
    const events = [change(1, '7', { ...row, capacity: 3 }), change(2, '7', row), change(3, '8', null)];
    const read = folded(events, '7', NOW + 9);
    expect(valuesOf(read)).toEqual({
      ...{ district: 'north', capacity: 12, fare: 2.5, serial: 7, is_open: true, kind: 'rack' },
      ...{ opened_on: Date.UTC(2020, 0, 1), checked_at: NOW },
    });
    expect(read['capacity']).toEqual({ value: 12, status: 'PRESENT', eventAt: NOW + 2 });
  });

  it('are null once a column has none, or the row is deleted, and not found before the first change', () => {
    const events = [change(1, '7', row), change(2, '7', { ...row, district: null }), change(3, '8', row)];
    expect(folded(events, '7', NOW + 9)['district']).toEqual({
      ...{ value: null, status: 'NULL_VALUE', eventAt: NOW + 2 },
    });
    const deleted = folded([...events, change(4, '8', null)], '8', NOW + 9);
    expect(deleted['capacity']).toEqual({ value: null, status: 'NULL_VALUE', eventAt: NOW + 4 });
    expect(folded(events, '9', NOW + 9)['capacity']).toEqual({
      ...{ value: null, status: 'NOT_FOUND', eventAt: null },
    });
  });

  it('are null where a feature cannot have them', () => {
    const odd = {
      ...{ district: 'x'.repeat(257), capacity: 2 ** 53, fare: 'NaN', serial: 'Infinity' },
      ...{ isOpen: 'yes', kind: 5, openedOn: 'Infinity', checkedAt: null },
    };
    expect(new Set(Object.values(valuesOf(folded([change(1, '7', odd)], '7', NOW + 9))))).toEqual(
      new Set([null]),
    );
  });

  it('do not come from a change of before the column was read, nor from data of another form', () => {
    const before = { ...change(1, '7', { capacity: 5 }) };
    const strange = [null, 5, [], { key: 7, row: {} }, { key: '7', row: [] }, { key: '7' }].map(
      (data, at) => ({
        ...change(2 + at, '7', null),
        data,
      }),
    );
    const read = folded([before, ...strange], '7', NOW + 9);
    expect(read['capacity']?.value).toBe(5);
    expect(read['district']?.status).toBe('NOT_FOUND');
  });

  it('follow the numbers of changes, which the row lock orders, and no clock', () => {
    const events = [change(1, '7', { capacity: 1 }, NOW + 50), change(2, '7', { capacity: 2 }, NOW + 20)];
    expect(folded(events, '7', NOW + 90)['capacity']?.value).toBe(2);
  });
});

const histories = fc
  .array(
    fc.record({
      key: fc.constantFrom('1', '2', '3'),
      gapMs: fc.integer({ min: 0, max: 3 }),
      row: fc.option(
        fc.record({
          district: fc.option(fc.constantFrom('a', 'b')),
          capacity: fc.integer({ min: 0, max: 3 }),
        }),
      ),
    }),
    { maxLength: 20 },
  )
  .map((changes) => {
    let at = NOW;
    return changes.map(({ key, gapMs, row }, index) => {
      at += gapMs;
      return change(index + 1, key, row, at);
    });
  });
const requests = fc.array(
  fc.record({
    key: fc.constantFrom('1', '2', '3'),
    afterMs: fc.integer({ min: -2, max: 60 }),
    isBefore: fc.boolean(),
    known: fc.option(fc.integer({ min: -2, max: 60 }), { nil: undefined }),
  }),
  { maxLength: 12 },
);

/** The row as of a moment by the naive rule: the last change of the key that had been made, and was known, by then. */
function expected(all: readonly RecordedEvent[], { key, at, known, isBefore }: AsOfRequest): unknown[] {
  const end = isBefore === true ? at - 1 : at;
  const last = all.findLast(({ data, occurredAt, recordedAt }) => {
    const own = Object(data)['key'] === key;
    return own && occurredAt <= end && recordedAt <= (known ?? end);
  });
  const row = last && Object(last.data)['row'];
  return last === undefined
    ? ['NOT_FOUND', null, null]
    : ['FOUND', row?.district ?? null, row?.capacity ?? null];
}
const shown = (row: FeatureRow): unknown[] => [
  row['capacity']?.status === 'NOT_FOUND' ? 'NOT_FOUND' : 'FOUND',
  row['district']?.value,
  row['capacity']?.value,
];

describe('a column in an answer and in a model', () => {
  const read = folded([change(1, '7', { capacity: 12, kind: 'rack' }, NOW - 5_000)], '7', NOW);

  it('is not too old for any request, as it holds until it changes', () => {
    const asked = {
      names: ['capacity', 'capacity@0123456789ab'],
      now: NOW,
      maxAgeMs: 1,
      derived: [],
      requests: new Map(),
    };
    const row = { ...read, 'capacity@0123456789ab': read['capacity'] as FeatureValue };
    const held = answerOf(row, { ...asked, columns: new Set(['capacity']) });
    expect(Object.values(held).map(({ value, ageMs }) => [value, ageMs])).toEqual([
      [12, 5_000],
      [12, 5_000],
    ]);
    expect(answerOf(row, asked)['capacity']?.status).toBe('OUTSIDE_MAX_AGE');
  });

  it('fills an input, with its default where the value is unknown', () => {
    const inputs = {
      x: {
        datatype: 'FP32' as const,
        columns: {
          capacity: fromFeature(capacity.value(), { default: -1 }),
          rack: fromFeature(kind.is('rack'), { default: 0.5 }),
          fare: fromFeature(fare.value(), { default: 9 }),
        },
      },
    };
    const signature = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 3] }];
    const dataOf = (row: FeatureRow) =>
      Array.from(rowOf({ inputs }, signature, row, {}, NOW)['x']?.data ?? [], Number);
    expect(dataOf(read)).toEqual([12, 1, 9]);
    expect(dataOf(folded([], '7', NOW))).toEqual([-1, 0.5, 9]);
  });
});

describe('columns online, as of a moment and rebuilt', () => {
  it('are the same, whatever the order of delivery, and never know a later value', async () => {
    const scenario = histories.chain((all) =>
      fc.record({
        all: fc.constant(all),
        delivered: fc.shuffledSubarray(all, { minLength: all.length }),
        wanted: requests,
        repeats: fc.infiniteStream(fc.boolean()),
      }),
    );
    await fc.assert(
      fc.asyncProperty(scenario, async ({ all, delivered, wanted, repeats }) => {
        const asked = wanted.map(({ key, afterMs, isBefore, known }): AsOfRequest => {
          const request = { entity: 'station', key, at: NOW + afterMs, isBefore };
          return known === undefined ? request : { ...request, known: NOW + known };
        });
        const rows = await joinHistory(FEATURES, asked, historyInMemory(all, repeats));
        expect(rows.map(shown)).toEqual(asked.map((request) => expected(all, request)));
        const end = NOW + 1_000;
        for (const key of ['1', '2', '3']) {
          const online = folded(delivered, key, end);
          expect(online).toEqual(folded(all, key, end));
          const [asOf] = await joinHistory(
            FEATURES,
            [{ entity: 'station', key, at: end }],
            historyInMemory(all, repeats),
          );
          expect(online).toEqual(asOf);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('columns whose covered changes retention has deleted', () => {
  const until = '2026-11-23T12:00:00.002500Z';
  const history = (deleted: readonly { target: string; rows: number; until: string }[]) => ({
    ...historyInMemory([change(3, '7', { capacity: 2 })], [][Symbol.iterator]()),
    pruned: async () => deleted,
  });
  const covered = history([{ target: rowChangesTarget(TYPE), rows: 2, until }]);
  const asked = (at: number, more: Partial<AsOfRequest> = {}): AsOfRequest[] => [
    { entity: 'station', key: '7', at, ...more },
  ];
  const joined = async (request: readonly AsOfRequest[], port = covered) =>
    (await joinHistory(FEATURES, request, port))[0]?.['capacity']?.value;

  it('are known as of moments after the change that covers them, and refused before', async () => {
    expect(await joined(asked(NOW + 3))).toBe(2);
    expect(await joined(asked(NOW + 4, { isBefore: true, known: NOW + 5 }))).toBe(2);
    const refused = [
      asked(NOW + 2),
      asked(NOW + 3, { isBefore: true }),
      asked(NOW + 9, { known: NOW + 2 }),
      asked(NOW + 2, { known: NOW + 9 }),
    ];
    for (const request of refused)
      await expect(joined(request)).rejects.toMatchObject({ code: 'history_pruned' });
  });

  it('are known as of any moment if changes of other rows were deleted', async () => {
    const other = history([{ target: rowChangesTarget('millrace.row.dock.v1'), rows: 2, until }]);
    expect(await joined(asked(NOW + 2), other)).toBeNull();
  });
});
