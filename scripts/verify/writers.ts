import { setTimeout as sleep } from 'node:timers/promises';
import { deleteEntity, putEntity } from '../../src/storage/postgres/entity-writes.ts';
import { product } from '../../test/support/catalog/entities.ts';
import { ask, tokenOf } from './client.ts';
import { depOf, fieldsOf, type History, moment, type Write } from './history.ts';
import type { Origin } from './origin.ts';
import { type Products, pick, zipf } from './products.ts';
import { BOUND_MS, CONTINENTS, readOnce } from './readers.ts';
import type { Runtime } from './runtime.ts';

const PUT_WRITERS = 6;
/** Enough that also a short run has deletions. */
const NEWCOMER_WRITERS = 3;
/** Between two writes of one writer, in milliseconds: so that keys are also read from caches between them. */
const PAUSE_MS_MAX = 1_000;
const NEWCOMER_PAUSE_MS = 1_000;
const FOREIGN_PAUSE_MS_MAX = 4_000;
/** How often a row that other writers change is left alone until its change is owed to bounded readers. */
const OWED_SHARE = 0.2;
const RETRY_PAUSE_MS_MAX = 200;
/** How often a writer that got no acknowledgement gives the version up, and goes on with the next. */
const GIVE_UP_SHARE = 0.25;
const DELETE_SHARE = 0.2;
const TOKENS_KEPT = 16;

export interface WriterContext {
  readonly sourceBoundMs: number;
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
    ...shares.map((own, writer) => changeByPut(context, `writer ${writer}`, own)),
    ...Array.from({ length: NEWCOMER_WRITERS }, (_, writer) =>
      makeNewcomers(context, `newcomers' writer ${writer}`),
    ),
    ...foreign.map((sku) => changeBySql(context, sku)),
  ]);
}

async function changeByPut(context: WriterContext, process: string, own: readonly string[]): Promise<void> {
  while (!context.signal.aborted) {
    // What is read most is written most.
    await writeNext(context, process, own[zipf(own.length)] ?? '', 'put');
    await sleep(Math.random() * PAUSE_MS_MAX);
  }
}

/**
 * A product that was not there before appears, changes, disappears again and may come back. It is only deleted
 * where each write before was acknowledged at once: one that was sent twice might be carried out once more later.
 */
async function makeNewcomers(context: WriterContext, process: string): Promise<void> {
  const { products, signal } = context;
  for (;;) {
    const sku = products.newcomers[products.born];
    if (signal.aborted || sku === undefined) return;
    products.born += 1;
    for (const step of LIFE.slice(0, 1 + Math.floor(Math.random() * LIFE.length))) {
      const attempts = await writeNext(context, process, sku, step);
      if (attempts > 1 || signal.aborted) break;
      await sleep(NEWCOMER_PAUSE_MS * Math.random());
    }
    await sleep(NEWCOMER_PAUSE_MS);
  }
}

type Step = 'put' | 'delete';

const LIFE: readonly Step[] = ['put', 'put', 'delete', 'put'];

/**
 * Writes the next version until it is acknowledged, or a `PUT` is given up: then it may be there or not.
 *
 * @returns how many attempts it took; Infinity where it was given up.
 */
async function writeNext(context: WriterContext, process: string, sku: string, step: Step): Promise<number> {
  const { history, signal } = context;
  const write = history.begin(depOf(sku), { kind: 'api', absent: step === 'delete', process });
  for (let attempts = 1; ; attempts += 1) {
    if (await attempt(context, sku, write)) {
      // What has just been acknowledged is asked for at once, while syncs from before are still on their way.
      const isolate = isolateOf(context);
      await readOnce(context, { kind: 'product', sku }, { process, isolate, level: 'strong' });
      return attempts;
    }
    if (signal.aborted || (step === 'put' && Math.random() < GIVE_UP_SHARE)) return Number.POSITIVE_INFINITY;
    await sleep(Math.random() * RETRY_PAUSE_MS_MAX);
  }
}

/** Any but the last, which has no strong readers. */
function isolateOf({ runtime }: WriterContext): number {
  return Math.floor(Math.random() * (runtime.isolates - 1));
}

/** @returns true where there is no more to be done. */
async function attempt(context: WriterContext, sku: string, write: Write): Promise<boolean> {
  const { history, runtime, lastTokens } = context;
  const headers = runtime.headersFrom(pick(CONTINENTS));
  const isolate = isolateOf(context);
  const { generation } = runtime;
  const url = runtime.urlOf(isolate, `/v1/products/${sku}`);
  const start = moment();
  const answer = write.absent
    ? await ask(url, { method: 'DELETE', headers })
    : await ask(url, {
        method: 'PUT',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(fieldsOf(write.version)),
      });
  const now = moment();
  const status = typeof answer === 'object' ? answer.status : 0;
  const token = typeof answer === 'object' ? tokenOf(answer) : undefined;
  write.attempts.push({
    isolate,
    generation,
    start,
    end: now,
    status: typeof answer === 'object' ? status : undefined,
    noAnswer: typeof answer === 'object' ? undefined : answer,
    token: token?.text,
  });
  if (status < 200 || status > 299 || token === undefined) {
    history.count(`write/not acknowledged: ${typeof answer === 'object' ? answer.status : answer}`);
    return false;
  }
  write.committed = now;
  write.acknowledged = now;
  write.token = token;
  history.count(`done/${write.absent ? 'DELETE' : 'PUT'}`);
  lastTokens.unshift({ sku, token: token.text });
  lastTokens.length = Math.min(lastTokens.length, TOKENS_KEPT);
  return true;
}

/**
 * Another application: it changes a row and adds an outbox row, in one transaction, and announces nothing. The relay
 * hears of it when a reader's `sourceBoundMs` asks for a heartbeat.
 */
async function changeBySql(context: WriterContext, sku: string): Promise<void> {
  const { history, origin, signal } = context;
  const process = `SQL writer of ${sku}`;
  let present = false;
  while (!signal.aborted) {
    const absent: boolean = present && Math.random() < DELETE_SHARE;
    const write = history.begin(depOf(sku), { kind: 'sql', absent, process });
    if (absent) await deleteEntity(origin.db, product, sku);
    else await putEntity(origin.db, product, sku, fieldsOf(write.version));
    write.committed = moment();
    history.count(`done/SQL ${absent ? 'delete' : 'put'}`);
    present = !absent;
    if (Math.random() < OWED_SHARE) await readWhenOwed(context, process, sku);
    else await sleep(Math.random() * FOREIGN_PAUSE_MS_MAX);
  }
}

/** Leaves a row alone until bounded readers are owed its last commit, and reads it then through every isolate. */
async function readWhenOwed(context: WriterContext, process: string, sku: string): Promise<void> {
  const { runtime, signal, sourceBoundMs } = context;
  await sleep(BOUND_MS + sourceBoundMs + 1, undefined, { signal }).catch(() => undefined);
  for (let isolate = 0; isolate < runtime.isolates && !signal.aborted; isolate += 1)
    await readOnce(context, { kind: 'product', sku }, { process, isolate, level: 'bounded' });
}
