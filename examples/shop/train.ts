/**
 * The training recipe of the shop's ranker: trains from the purchase history and writes the bundle's folder.
 *
 *   npm run train -- ranker [--csv FILE(.gz)] [--seed 1] [--out DIR] [--publish …]
 *
 * Without --csv the history is read from Postgres: DATABASE_URL, and DATABASE_ENDPOINT where the database is
 * reached over another HTTP address than Neon's own. `npm run train` sets those of the development stack.
 */
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { createGunzip } from 'node:zlib';
import { neon, neonConfig } from '@neondatabase/serverless';
import { parse } from 'csv-parse';
import * as z from 'zod';
import { readOptions } from '../../scripts/command-line/options.ts';
import { runCommand } from '../../scripts/command-line/run.ts';
import { databaseUrlOf, wholeNumberOf } from '../../scripts/command-line/values.ts';
import { writeTrained } from '../../scripts/models/bundle.ts';
import { historyOfEvents } from '../../scripts/models/local-run/history.ts';
import { type LocallyTrained, type LocalTraining, trainLocally } from '../../scripts/models/local-run/run.ts';
import type { Snapshot } from '../../src/operations/lineage/training.ts';
import { ranker } from './catalog/models.ts';
import { DAY_MS } from './catalog/ranker.ts';
import { type Bounds, boundsOfPurchases, sourcesOfPurchases, trainingFacts } from './training/lineage.ts';
import { type Chosen, choosePurchases, describePurchases, rangeOf } from './training/origin.ts';
import { eventsOf, MIN_HISTORY_DAYS, type Purchase } from './training/purchases.ts';

/** Rows of a query: a few megabytes of answer. */
const PAGE_ROWS = 20_000;
/**
 * Trains from purchases in memory as the worker trains from its history; the same purchases (in any order) and seed give the
 * same artifacts.
 *
 * @throws Error when the history does not allow a model. Whether it is better than the baselines is in its evaluation.
 */
export async function trainFromPurchases(
  purchases: readonly Purchase[],
  { seed, tell }: Pick<LocalTraining, 'seed' | 'tell'>,
): Promise<LocallyTrained> {
  const range = rangeOf(purchases);
  if (range === null || range.to - range.from < MIN_HISTORY_DAYS * DAY_MS)
    throw new Error(
      `The purchase history is too short: training needs ${MIN_HISTORY_DAYS} days of purchases.`,
    );
  const { from, to } = range;
  const history = historyOfEvents(eventsOf(purchases));
  return await trainLocally({ definition: ranker, history, from, to: to + 1, seed, ...(tell && { tell }) });
}

const csvRowSchema = z.object({
  Invoice: z.string(),
  StockCode: z.string(),
  Quantity: z.coerce.number(),
  InvoiceDate: z.string(),
  Price: z.coerce.number(),
  'Customer ID': z.string(),
});

/**
 * Reads a file in the format of UCI's Online Retail II, gzipped or not. Left out are cancelled invoices, lines
 * without a customer, without a price or without a quantity. Times are read as UTC.
 */
export async function purchasesFromCsv(file: string): Promise<Purchase[]> {
  const raw = createReadStream(file);
  const text = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  const rows = text.pipe(parse({ columns: true, bom: true }));
  // A stream that fails does not end the stream that it is piped into. This ends the parser, so that the loop below throws.
  raw.on('error', (error) => rows.destroy(error));
  text.on('error', (error: Error) => rows.destroy(error));
  const purchases: Purchase[] = [];
  for await (const row of rows) {
    const line = csvRowSchema.parse(row);
    const customer = line['Customer ID'];
    if (line.Invoice.startsWith('C') || customer === '' || line.Price <= 0 || line.Quantity <= 0) continue;
    const at = Date.parse(`${line.InvoiceDate.replace(' ', 'T')}Z`);
    if (Number.isNaN(at)) throw new Error(`Not a date in ${file}: ${line.InvoiceDate}`);
    purchases.push({ sku: line.StockCode, customer, quantity: line.Quantity, at });
  }
  return purchases;
}

const pageSchema = z.array(
  z.object({
    event_seq: z.coerce.number(),
    sku: z.string(),
    customer_id: z.string(),
    quantity: z.coerce.number(),
    at: z.coerce.number(),
  }),
);

/**
 * Reads the purchases of known customers from Postgres, in the order in which they were stored.
 *
 * @param lastSeq the number of the last event that is read.
 */
async function purchasesFromPostgres(databaseUrl: string, lastSeq: number): Promise<Purchase[]> {
  const sql = neon(databaseUrl);
  const purchases: Purchase[] = [];
  for (let after = 0; ; ) {
    const page = pageSchema.parse(
      await sql`select event_seq, sku, customer_id, quantity, floor(extract(epoch from occurred_at) * 1000) as at
        from purchases
        where event_seq > ${after} and event_seq <= ${lastSeq} and customer_id is not null
        order by event_seq
        limit ${PAGE_ROWS}`,
    );
    for (const row of page) {
      purchases.push({ sku: row.sku, customer: row.customer_id, quantity: row.quantity, at: row.at });
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) return purchases;
    after = last.event_seq;
  }
}

/** Purchases, and where they came from, unless that is a file. */
interface LoadedPurchases {
  readonly chosen: Chosen;
  readonly origin: (Bounds & { readonly sources: Snapshot['sources'] }) | undefined;
}

async function loadPurchases(csv: string | undefined): Promise<LoadedPurchases> {
  if (csv !== undefined) {
    const chosen = choosePurchases(await purchasesFromCsv(csv));
    return { chosen, origin: undefined };
  }
  const url = databaseUrlOf(process.env['DATABASE_URL']);
  if (url === undefined) {
    throw new Error(
      "There is no database: start npm run dev, set DATABASE_URL to the shop's Postgres, or name a file with --csv.",
    );
  }
  const endpoint = process.env['DATABASE_ENDPOINT'];
  if (endpoint !== undefined && endpoint !== '') neonConfig.fetchEndpoint = endpoint;
  const bounds = await boundsOfPurchases(url);
  if (bounds === undefined) return { chosen: choosePurchases([]), origin: undefined };
  const chosen = choosePurchases(await purchasesFromPostgres(url, bounds.lastSeq));
  return { chosen, origin: { ...bounds, sources: await sourcesOfPurchases(url, bounds, chosen.isMadeUp) } };
}

function readArguments() {
  const { values } = readOptions({
    command: 'npm run train -- ranker',
    options: {
      csv: { type: 'string' },
      out: { type: 'string', default: '.millrace/models/ranker' },
      seed: { type: 'string', default: '1' },
    },
  });
  return { ...values, seed: wholeNumberOf('--seed', values.seed, { min: 0 }) };
}

async function main(): Promise<void> {
  const { csv, out, seed } = readArguments();
  const started = performance.now();
  const { chosen, origin } = await loadPurchases(csv);
  const sources =
    csv === undefined ? (origin?.sources ?? []) : [{ source: csv, events: chosen.purchases.length }];
  console.log(describePurchases(chosen, sources));
  const loaded = performance.now();
  const trained = await trainFromPurchases(chosen.purchases, { seed });
  const { bundle, run, manifest } = trained;
  console.log(
    `Read the purchases in ${seconds(loaded - started)}, trained on the rows of ${count(manifest.rows.train + manifest.rows.validation)} in ${seconds(performance.now() - loaded)}.`,
  );
  console.log(bundle.card);
  if (run.evaluation?.verdict !== 'better')
    throw new Error(
      'The model is not better than popularity and than what customers bought before, so no bundle was written. Train again with more purchases.',
    );
  await writeTrained(bundle, out);
  const facts = trainingFacts(trained, chosen, origin);
  await writeFile(path.join(out, 'training.json'), `${JSON.stringify(facts, null, 2)}\n`);
  console.log(`Wrote version ${bundle.manifest.version} to ${out}.`);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
