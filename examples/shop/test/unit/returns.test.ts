import { PgDialect } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../../scripts/dev/database.ts';
import type { ViewDefinition } from '../../../../src/define/view.ts';
import { judge } from '../../../../src/pipeline/judge.ts';
import { storeMessages } from '../../../../src/pipeline/store.ts';
import { newId } from '../../../../src/platform/ids.ts';
import { classifyFault, connect } from '../../../../src/storage/postgres/connect.ts';
import { storeEvents } from '../../../../src/storage/postgres/event-store.ts';
import { rowEffectStatements } from '../../../../src/storage/postgres/row-effects.ts';
import { memoryDatabase } from '../../../../test/support/node/memory-database.ts';
import { runsOf } from '../../../../test/support/node/part.ts';
import { catalog } from '../../catalog/index.ts';
import { customerPage, productPage } from '../../catalog/views.ts';
import { SHOP } from '../served.ts';

const NOW = Date.UTC(2026, 10, 1);
const HOUR = 3_600_000;
const dialect = new PgDialect();

let database: DevDatabase;
let db: ReturnType<typeof connect>;
beforeAll(async () => {
  database = await startDevDatabase(await memoryDatabase(SHOP.migrationsDir));
  db = connect({ url: database.connectionString, endpoint: database.endpoint });
});
afterAll(() => database.close());

/** A line of an invoice, or of a cancelled one. */
interface Line {
  readonly id: string;
  readonly isReturn: boolean;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly description: string | null;
  /** Hours after the first possible line. */
  readonly hour: number;
}

function judged(sku: string, { id, isReturn, hour, ...data }: Line) {
  const outcome = judge(
    catalog.eventTypes,
    {
      ...{ specversion: '1.0', source: '/till', id: `${sku}-${id}` },
      type: isReturn ? 'shop.return.v1' : 'shop.purchase.v1',
      time: new Date(NOW - 100 * HOUR + hour * HOUR).toISOString(),
      data: { ...data, sku, invoice: isReturn ? 'C1' : '1', customerId: `buyer-of-${sku}`, country: 'EIRE' },
    },
    NOW,
  );
  if (outcome.verdict !== 'accepted') throw new Error(outcome.refusal.detail);
  return { ...outcome.event, effects: outcome.meaning.effects };
}

async function store(sku: string, lines: readonly Line[]): Promise<void> {
  const accepted = lines.map((one) => {
    const { effects: _, ...event } = judged(sku, one);
    return event;
  });
  await storeMessages([{ v: 1, receivedAt: NOW, accepted, refused: [] }], {
    types: catalog.eventTypes,
    storeEvents: (events) => storeEvents(db, events, newId()),
    keepRefused: async (refused) => expect(refused).toEqual([]),
    classifyFault,
    fingerprint: async () => '',
  });
}

async function read({ load }: ViewDefinition, input: Record<string, string>): Promise<unknown> {
  return (await load(db, { input, variant: {}, principal: undefined, now: NOW, features: {} })).value;
}

/** A purchase unless it says otherwise. */
function line(id: string, hour: number, rest: Partial<Line> = {}): Line {
  return { id, hour, isReturn: false, quantity: 1, unitPrice: 1, description: 'CUP', ...rest };
}

describe('a product page', () => {
  it('shows the sold quantity less the returned quantity', async () => {
    await store('a', [line('1', 0, { quantity: 10 }), line('2', 1, { isReturn: true, quantity: 4 })]);
    expect(await read(productPage, { sku: 'a' })).toMatchObject({ sold: { units: 6 } });
    // The purchase is from before the first event that is known.
    await store('b', [line('1', 0, { isReturn: true, quantity: 2, description: 'TRAY', unitPrice: 3 })]);
    expect(await read(productPage, { sku: 'b' })).toEqual({
      ...{ sku: 'b', description: 'TRAY', unitPrice: 3 },
      sold: { units: -2, lastAt: null },
    });
  });

  it('follows the latest purchase, and ignores returns', async () => {
    await store('c', [line('new', 50, { unitPrice: 2, description: 'NEW CUP' })]);
    await store('c', [line('late', 40, { unitPrice: 9, description: 'OLD CUP' })]);
    await store('c', [line('back', 60, { isReturn: true, unitPrice: 7, description: 'CUP, BROKEN' })]);
    expect(await read(productPage, { sku: 'c' })).toMatchObject({ description: 'NEW CUP', unitPrice: 2 });
    await store('c', [line('unnamed', 70, { unitPrice: 3, description: null })]);
    expect(await read(productPage, { sku: 'c' })).toMatchObject({ description: 'NEW CUP', unitPrice: 3 });
  });

  it('is the same if events arrive late, twice or in other transactions', async () => {
    const lineOf = fc.record({
      isReturn: fc.boolean(),
      quantity: fc.integer({ min: 1, max: 9 }),
      unitPrice: fc.integer({ min: 1, max: 999 }).map((cents) => cents / 100),
      description: fc.constantFrom(null, 'CUP', 'MUG', 'TRAY'),
      // No two purchases of one hour: of two at once, the greater price counts and the greater description.
      hour: fc.nat(99),
    });
    const lines = fc
      .uniqueArray(lineOf, { minLength: 1, maxLength: 12, selector: ({ hour }) => hour })
      .map((all) => all.map((one, index) => ({ ...one, id: String(index) })));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(lines, fc.infiniteStream(fc.nat(99)), async (all, draws) => {
        run += 1;
        const sku = `p${run}`;
        const draw = () => draws.next().value ?? 0;
        const arrivals = [...all, ...all.filter(() => draw() < 40)]
          .map((one) => ({ one, order: draw() }))
          .toSorted((a, b) => a.order - b.order)
          .map(({ one }) => one);
        while (arrivals.length > 0) await store(sku, arrivals.splice(0, 1 + (draw() % 5)));
        expect(await read(productPage, { sku })).toMatchObject(expectedOf(all));
        expect(await read(customerPage, { id: `buyer-of-${sku}` })).toMatchObject({
          purchases: { lines: all.filter(({ isReturn }) => !isReturn).length },
          returns: { lines: all.filter(({ isReturn }) => isReturn).length },
        });
      }),
      { numRuns: runsOf(30) },
    );
  });
});

it('inserts products by one statement, in the order of their keys', () => {
  const lines = [line('1', 0), line('2', 1, { description: null }), line('3', 2, { isReturn: true })];
  const effects = lines.flatMap((one) => {
    const { id, source, effects } = judged('a', one);
    return effects.flatMap((effect, at) =>
      effect.kind === 'append' ? [] : [{ source, id, line: at, effect }],
    );
  });
  const statements = rowEffectStatements(effects, newId()).map(
    (statement) => dialect.sqlToQuery(statement).sql,
  );
  expect(statements.filter((text) => text.includes('insert into "products"'))).toHaveLength(1);
});

/** What the lines say, read in the order in which they happened. A product that only came back is as the first said. */
function expectedOf(lines: readonly Line[]): object {
  const byHour = lines.toSorted((a, b) => a.hour - b.hour);
  const bought = byHour.filter(({ isReturn }) => !isReturn);
  const units = byHour.reduce((sum, { isReturn, quantity }) => sum + (isReturn ? -quantity : quantity), 0);
  if (bought.length === 0) return { sold: { units } };
  const named = bought.findLast(({ description }) => description !== null);
  return {
    ...(named === undefined ? {} : { description: named.description }),
    ...{ unitPrice: bought.at(-1)?.unitPrice, sold: { units } },
  };
}
