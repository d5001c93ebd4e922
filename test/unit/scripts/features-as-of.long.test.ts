import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { type JoinWishes, joinTable } from '../../../scripts/features/join-table.ts';
import { readTable, rowText } from '../../../scripts/features/table.ts';
import { historyOf } from '../../../src/composition/history.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { catalog } from '../../support/catalog/index.ts';
import { expectRefusal, runScriptOf } from '../../support/node/command-usage.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const SCRIPT = 'scripts/features-as-of.ts';
const WISHES: JoinWishes = { entity: 'customer', at: 'at', isBefore: false, prefix: '', statuses: false };
const FEATURES = ['purchases_30d', 'last_purchase_at', 'items'];

let folder: string;
let database: DevDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-as-of-'));
  database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const line = { invoice: '1', quantity: 1, unitPrice: 2, country: 'EIRE' };
  const bought = (seq: number, customerId: string, at: string, recordedAt = at) =>
    db.execute(sql`insert into millrace.events (seq, source, id, type, data, occurred_at, recorded_at, batch)
      values (${seq}, '/s', ${String(seq)}, 'shop.purchase.v1', ${JSON.stringify({ ...line, customerId, sku: `A,${seq}`.replace(',', '-') })},
        ${at}, ${recordedAt}, ${crypto.randomUUID()})`);
  await bought(1, 'c1', '2026-03-01T10:00:00Z');
  await bought(2, 'c1', '2026-03-02T10:00:00Z', '2026-06-01T00:00:00Z');
  await bought(3, 'c2', '2026-03-03T10:00:00Z');
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

async function joined(
  name: string,
  text: string | Uint8Array,
  wishes: Partial<JoinWishes> = {},
): Promise<string[]> {
  const file = join(folder, name);
  writeFileSync(file, text);
  const table = await readTable(file);
  const db = connect({ url: database.connectionString, endpoint: database.endpoint });
  const { columns, rows } = await joinTable(
    table,
    { ...WISHES, features: FEATURES, ...wishes },
    catalog,
    historyOf(db, catalog),
  );
  const header = table.format === 'csv' ? [columns.join(',')] : [];
  return [...header, ...rows.map((row) => rowText(table.format, columns, row))];
}

describe('npm run features:as-of', () => {
  const CSV =
    'customer,at,label\nc2,2026-03-03T10:00:00Z,"a ""b"", c"\nc1,2026-03-02T12:00:00Z,\nc9,1772445600000,x\n';

  it('adds columns to a CSV, in its order', async () => {
    expect(await joined('rows.csv', CSV)).toEqual([
      'customer,at,label,purchases_30d,last_purchase_at,items',
      'c2,2026-03-03T10:00:00Z,"a ""b"", c",1,1772532000000,"[{""item"":""A-3"",""count"":1,""lastAt"":1772532000000}]"',
      'c1,2026-03-02T12:00:00Z,,1,1772359200000,"[{""item"":""A-1"",""count"":1,""lastAt"":1772359200000}]"',
      'c9,1772445600000,x,0,,[]',
    ]);
    expect(
      await joined('rows.csv.gz', gzipSync(CSV), {
        isBefore: true,
        features: ['purchases_30d'],
        prefix: 'c_',
      }),
    ).toEqual([
      'customer,at,label,c_purchases_30d',
      'c2,2026-03-03T10:00:00Z,"a ""b"", c",0',
      'c1,2026-03-02T12:00:00Z,,1',
      'c9,1772445600000,x,0',
    ]);
  });

  it('adds members to JSON lines, with statuses, and takes the knowledge time of each row', async () => {
    const rows = [
      { who: 'c1', at: '2026-03-02T12:00:00Z' },
      { who: 'c1', at: '2026-03-02T12:00:00Z', known: '2026-06-01T00:00:00Z' },
      { who: 'c9', at: '2026-03-02', known: null },
    ];
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('\n');
    const wishes = { key: 'who', features: ['purchases_30d'], statuses: true };
    expect((await joined('rows.jsonl', text, wishes)).map((line) => JSON.parse(line))).toEqual([
      { ...rows[0], purchases_30d: 1, purchases_30d_status: 'PRESENT' },
      { ...rows[1], purchases_30d: 2, purchases_30d_status: 'PRESENT' },
      { ...rows[2], purchases_30d: 0, purchases_30d_status: 'NOT_FOUND' },
    ]);
    const all = await joined('rows.jsonl', text, { ...wishes, known: Date.UTC(2026, 6) });
    expect(all.map((line) => JSON.parse(line).purchases_30d)).toEqual([2, 2, 0]);
  });

  it('adds all features that need no request, and derived ones by name', async () => {
    const text = 'sku,at\nA-3,2026-03-04T00:00:00Z\n';
    const ofProduct = { entity: 'product', key: 'sku' };
    const [header] = await joined('skus.csv', text, { ...ofProduct, features: undefined });
    expect(header).toBe('sku,at,units_7d,units_30d,last_sold_at,units_trend');
    expect(await joined('skus.csv', text, { ...ofProduct, features: ['units_trend'] })).toEqual([
      'sku,at,units_trend',
      'A-3,2026-03-04T00:00:00Z,1',
    ]);
  });

  it('refuses what it cannot use, and names it', async () => {
    const refused = (text: string, wishes: Partial<JoinWishes> = {}) =>
      expect(joined('bad.csv', text, wishes)).rejects;
    await refused(CSV, { entity: 'custommer' }).toThrow('It has features of: customer, product.');
    await refused(CSV, { features: ['purchases_3d'] }).toThrow('Did you mean "purchases_30d"?');
    await refused(CSV, { features: ['order_share'] }).toThrow('computed from fields of a request');
    await refused(CSV, { at: 'when' }).toThrow('The file has no column "when". It has customer, at, label.');
    await refused('customer,at,purchases_30d\nc1,1,2\n').toThrow('Give the new ones a --column-prefix.');
    await refused('customer,at\nc1,1\n\nc1,soon\n').toThrow('Line 4: "at" is "soon", which is no moment');
    await refused('customer,at\n,1\n').toThrow('Line 2: "customer" is "", which is no key of "customer"');
    await refused('customer,at\nc1,1,2\n').toThrow('bad.csv: ');
    await expect(joined('bad.jsonl', '{"customer":"c1"}\n[]\n')).rejects.toThrow('line 2 is no JSON object');
    await expect(readTable(join(folder, 'none.csv'))).rejects.toThrow('cannot be read: ENOENT');
  });

  it('is a command with options', async () => {
    await expectRefusal(SCRIPT, [], 'Name a file and an --entity');
    await expectRefusal(SCRIPT, ['x.csv', '--entitty', 'x'], '--entity');
    await expectRefusal(SCRIPT, ['none.csv', '--entity', 'x'], 'none.csv cannot be read');
    writeFileSync(join(folder, 'rows.csv'), CSV);
    const env = { DATABASE_URL: '' };
    const { code, stderr } = await runScriptOf(
      SCRIPT,
      [join(folder, 'rows.csv'), '--entity', 'x', '--state', folder],
      { env },
    );
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('Start npm run dev first, set DATABASE_URL, or'),
    ]);
  });
});
