import { setTimeout as sleep } from 'node:timers/promises';
import { product } from '../../src/catalog/entities.ts';
import { ask, tokenOf } from './client.ts';
import { depOf, fieldsOf, type History, moment, type Write } from './history.ts';
import type { Origin } from './origin.ts';
import { type Products, pick } from './products.ts';
import { CONTINENTS } from './readers.ts';
import type { Runtime } from './runtime.ts';

const PUT_WRITERS = 6;
/** Between two writes of one writer, in milliseconds: so that keys are also read from caches between them. */
const PAUSE_MS_MAX = 1_000;
const NEWCOMER_PAUSE_MS = 1_000;
const FOREIGN_PAUSE_MS_MAX = 4_000;
const RETRY_PAUSE_MS_MAX = 200;
/** How often a writer that got no acknowledgement gives the version up, and goes on with the next. */
const GIVE_UP_SHARE = 0.25;
const DELETE_SHARE = 0.2;

export interface WriterContext {
  readonly history: History;
  readonly runtime: Runtime;
  readonly origin: Origin;
  readonly products: Products;
  readonly signal: AbortSignal;
  /** The newest acknowledgements, for sessions to begin with. */
  readonly lastTokens: { sku: string; token: string }[];
}

/** Starts all writers; each product has one, so that its versions have an order. Settles once they have stopped. */
export async function runWriters(context: WriterContext): Promise<void> {
  const { hot, foreign } = context.products;
  const shares = Array.from({ length: PUT_WRITERS }, (_, writer) =>
    hot.filter((_, index) => index % PUT_WRITERS === writer),
  );
  await Promise.all([
    ...shares.map((own) => changeByPut(context, own)),
    makeNewcomers(context),
    ...foreign.map((sku) => changeBySql(context, sku)),
  ]);
}

async function changeByPut(context: WriterContext, own: readonly string[]): Promise<void> {
  while (!context.signal.aborted) {
    await putNext(context, pick(own));
    await sleep(Math.random() * PAUSE_MS_MAX);
  }
}

async function makeNewcomers(context: WriterContext): Promise<void> {
  const { products, signal } = context;
  for (const sku of products.newcomers) {
    if (signal.aborted) return;
    products.born += 1;
    await putNext(context, sku);
    await putNext(context, sku);
    await sleep(NEWCOMER_PAUSE_MS);
  }
}

/** Writes the next version until it is acknowledged, or given up: then it may be there or not. */
async function putNext(context: WriterContext, sku: string): Promise<void> {
  const { history, signal } = context;
  const write = history.begin(depOf(sku), 'put', false);
  while (!(await put(context, sku, write))) {
    if (signal.aborted || Math.random() < GIVE_UP_SHARE) return;
    await sleep(Math.random() * RETRY_PAUSE_MS_MAX);
  }
}

async function put(
  { history, runtime, lastTokens }: WriterContext,
  sku: string,
  write: Write,
): Promise<boolean> {
  const answer = await ask(
    runtime.urlOf(Math.floor(Math.random() * runtime.isolates), `/v1/products/${sku}`),
    {
      method: 'PUT',
      headers: { ...runtime.headersFrom(pick(CONTINENTS)), 'content-type': 'application/json' },
      body: JSON.stringify(fieldsOf(write.version)),
    },
  );
  const token = typeof answer === 'object' ? tokenOf(answer) : undefined;
  const done = typeof answer === 'object' && (answer.status === 200 || answer.status === 201);
  if (!done || token === undefined) {
    history.count(`put/not acknowledged: ${typeof answer === 'object' ? answer.status : answer}`);
    return false;
  }
  const now = moment();
  write.committed = now;
  write.acknowledged = now;
  write.token = token;
  lastTokens.unshift({ sku, token: token.text });
  lastTokens.length = Math.min(lastTokens.length, 16);
  return true;
}

/**
 * Another application: it changes a row and adds an outbox row, in one transaction, and tells nobody. The relay
 * hears of it when a reader's `sourceBoundMs` asks for a heartbeat.
 */
async function changeBySql({ history, origin, signal }: WriterContext, sku: string): Promise<void> {
  let present = false;
  while (!signal.aborted) {
    const absent: boolean = present && Math.random() < DELETE_SHARE;
    const write = history.begin(depOf(sku), 'sql', absent);
    await commit(origin, sku, write, present);
    write.committed = moment();
    present = !absent;
    await sleep(Math.random() * FOREIGN_PAUSE_MS_MAX);
  }
}

async function commit(
  { sql }: Origin,
  sku: string,
  { version, absent }: Write,
  wasPresent: boolean,
): Promise<void> {
  const { description, unitPrice } = fieldsOf(version);
  const values = [sku, description, unitPrice];
  const change = absent
    ? sql.query('delete from products where sku = $1', [sku])
    : wasPresent
      ? sql.query('update products set description = $2, unit_price = $3 where sku = $1', values)
      : sql.query('insert into products (sku, description, unit_price) values ($1, $2, $3)', values);
  const isOfCollection = absent || !wasPresent;
  const tags = isOfCollection ? [product.row(sku), product.collection] : [product.row(sku)];
  await sql.transaction([change, sql.query('insert into outbox (tags) values ($1::text[])', [tags])]);
}
