import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { productPage } from '../../test/support/catalog/views.ts';
import type { Moment, ReadRecord } from '../../test/support/coherence/judge.ts';
import { type Answer, ask, headerOf, tokenOf } from './client.ts';
import { depOf, fieldsOf, type History, moment } from './history.ts';
import { allOf, type Products, pick, zipf } from './products.ts';
import type { Runtime } from './runtime.ts';

/** Where requests come from: four regions of the clock. The first is home to the first isolate, and so on. */
export const CONTINENTS = ['EU', 'AS', 'SA', 'NA'] as const;
/** How often a request comes from elsewhere than the isolate's home. */
const STRANGER_SHARE = 0.05;
/** The views of products share it. */
export const BOUND_MS = productPage.policy.boundMs;
const SESSION_READERS = 32;
const OTHER_READERS = 60;
/** Reads of one session, before the reader begins another. */
const SESSION_READS = 200;
const LIST_SHARE = 0.04;
const PRICE_LIST_SHARE = 0.01;
const NEWCOMER_SHARE = 0.12;
const FOREIGN_SHARE = 0.2;
/** How often a session asks the next isolate for the same again: that is where time could go backwards. */
const AGAIN_SHARE = 0.4;
/** How far around the newest product readers ask: those ahead of it are not there yet. */
const NEWCOMERS_AROUND = 3;
const LIST_ROWS = 20;
/** After a request without an answer, in milliseconds: the runtime is being killed. */
const BACKOFF_MS = 50;

const Product = z.object({ sku: z.string(), description: z.string().nullable(), unitPrice: z.number() });
const Page = z.object({ products: z.array(Product), next: z.string().nullable() });

type Level = ReadRecord['level'];

export interface ReaderContext {
  readonly history: History;
  readonly runtime: Runtime;
  readonly products: Products;
  readonly sourceBoundMs: number;
  readonly lastTokens: readonly { sku: string; token: string }[];
}

export interface Session {
  readonly name: string;
  token: string | undefined;
}

/** What is asked: one product, a page of the list in the order of SKUs, or of that from the cheapest on. */
type Question =
  | { readonly kind: 'product'; readonly sku: string }
  | { readonly kind: 'list'; readonly after: string; readonly limit: number }
  | { readonly kind: 'price-list' };

/** How it is asked. */
export interface Way {
  /** The sequential client that asks. */
  readonly process: string;
  readonly isolate: number;
  readonly level: Level;
  readonly session?: Session | undefined;
}

/** Starts all readers, and settles once they have stopped. */
export async function runReaders(context: ReaderContext, signal: AbortSignal): Promise<void> {
  const { runtime } = context;
  const last = runtime.isolates - 1;
  const others = Array.from({ length: OTHER_READERS }, async (_, reader) => {
    while (!signal.aborted) {
      const isolate = reader % runtime.isolates;
      // The last isolate has bounded and eventual readers alone: strong ones would keep its mirror young for them.
      const levels: Level[] = isolate === last ? ['bounded', 'eventual'] : ['strong', 'bounded', 'eventual'];
      await readOnce(context, draw(context), { process: `reader ${reader}`, isolate, level: pick(levels) });
    }
  });
  const sessions = Array.from({ length: SESSION_READERS }, async (_, reader) => {
    for (let round = 0; !signal.aborted; round += 1) await followSession(context, reader, round, signal);
  });
  await Promise.all([...others, ...sessions]);
}

/** A session hops among the isolates with its token; every other one begins with the token of a writer. */
async function followSession(
  context: ReaderContext,
  reader: number,
  round: number,
  signal: AbortSignal,
): Promise<void> {
  const process = `session reader ${reader}`;
  const { runtime, lastTokens } = context;
  const written = Math.random() < 0.5 ? lastTokens[0] : undefined;
  const session: Session = { name: `session ${reader}/${round}`, token: written?.token };
  let question: Question = written === undefined ? draw(context) : { kind: 'product', sku: written.sku };
  for (let reads = 0; reads < SESSION_READS && !signal.aborted; reads += 1) {
    if (reads > 0 && Math.random() >= AGAIN_SHARE) question = draw(context);
    const isolate = Math.floor(Math.random() * (runtime.isolates - 1));
    await readOnce(context, question, { process, isolate, level: 'bounded', session });
  }
}

function draw({ products }: ReaderContext): Question {
  const { hot, newcomers, foreign, born } = products;
  const around = () => {
    const offset = Math.floor(Math.random() * 2 * NEWCOMERS_AROUND) - NEWCOMERS_AROUND;
    return newcomers[Math.max(0, Math.min(newcomers.length - 1, born + offset))] ?? '';
  };
  let chance = Math.random();
  const among = (share: number) => {
    chance -= share;
    return chance < 0;
  };
  if (among(PRICE_LIST_SHARE)) return { kind: 'price-list' };
  if (among(LIST_SHARE)) {
    // Few different pages, so that they are also hit.
    const after = pick(['', hot[9] ?? '', hot[25] ?? '', newcomers[Math.max(0, born - LIST_ROWS / 2)] ?? '']);
    return { kind: 'list', after, limit: LIST_ROWS };
  }
  if (among(NEWCOMER_SHARE)) return { kind: 'product', sku: around() };
  if (among(FOREIGN_SHARE)) return { kind: 'product', sku: pick(foreign) };
  return { kind: 'product', sku: hot[zipf(hot.length)] ?? '' };
}

function pathOf(question: Question): string {
  switch (question.kind) {
    case 'product':
      return `/v1/products/${question.sku}`;
    case 'list':
      return `/v1/products?after=${question.after}&limit=${question.limit}`;
    case 'price-list':
      return `/v1/price-list?limit=${LIST_ROWS}`;
  }
}

/** One request to read, and what its answer shows. */
export interface Reading {
  readonly path: string;
  /** The name of the view, or of what is read in place of one. */
  readonly view: string;
  readonly shape: 'row' | 'page';
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** By when commits that nobody announces are owed; undefined for what is owed once it is acknowledged. */
  readonly sourceBoundMs: number | undefined;
  /** Each thing that the answer tells of, with its version; a text where the answer cannot be judged, with the reason. */
  readonly shownBy: (
    answer: Answer,
    ended: Moment,
  ) => Iterable<[dep: string, shown: number | 'absent']> | string;
}

/** Asks once, and records what was shown. */
export async function readOnce(
  context: ReaderContext,
  question: Question,
  way: Way,
): Promise<Answer | undefined> {
  const reading: Reading = {
    ...{ path: pathOf(question), view: question.kind, sourceBoundMs: context.sourceBoundMs },
    shape: question.kind === 'product' ? 'row' : 'page',
    shownBy: (answer, ended) => [...shownBy(context, question, answer, ended)],
  };
  return await readAs(context, reading, way);
}

/** Asks once, and records what the reading finds in the answer. */
export async function readAs(
  { history, runtime }: Pick<ReaderContext, 'history' | 'runtime'>,
  reading: Reading,
  { process, isolate, level, session }: Way,
): Promise<Answer | undefined> {
  const { path, view, shape } = reading;
  const home = CONTINENTS[isolate % CONTINENTS.length] ?? 'NA';
  const { authorization: _key, ...place } = runtime.headersFrom(
    Math.random() < STRANGER_SHARE ? pick(CONTINENTS) : home,
  );
  const headers = { ...place, ...reading.headers };
  if (level !== 'bounded') headers['millrace-consistency'] = level;
  const sent = session?.token;
  if (sent !== undefined) headers['millrace-token'] = sent;
  const { generation } = runtime;
  const begun = moment();
  const { method, body } = reading;
  const answer = await ask(runtime.urlOf(isolate, path), {
    headers,
    ...(method && { method }),
    ...(body && { body }),
  });
  const ended = moment();
  const kind = session === undefined ? level : 'session';
  const status = typeof answer === 'object' ? headerOf(answer, 'cache-status') : undefined;
  const token = typeof answer === 'object' ? tokenOf(answer) : undefined;
  const line = {
    process,
    session: session?.name ?? null,
    isolate,
    generation,
    // With a token, a bounded read is a session read: what docs/coherence.md calls the session level.
    level: sent !== undefined && level !== 'strong' ? ('session' as const) : level,
    view,
    path,
    shape,
    tokenIn: sent ?? null,
    start: begun,
    end: ended,
    status: typeof answer === 'object' ? answer.status : null,
    noAnswer: typeof answer === 'object' ? null : answer,
    tokenOut: token?.text ?? null,
    cacheStatus: status ?? null,
    marked: isMarked(status ?? ''),
  };
  if (typeof answer !== 'object' || (answer.status !== 200 && answer.status !== 404)) {
    history.tell({ ...line, shows: [] });
    await unanswered(history, answer, `${kind} ${path} at ${Math.round(begun.ms)} ms, token ${sent}`);
    return undefined;
  }
  const shown = reading.shownBy(answer, ended);
  if (typeof shown === 'string') {
    history.tell({ ...line, shows: [] });
    history.count(`unanswered/${view}: ${shown}`);
    return undefined;
  }
  history.answered += 1;
  history.count(`read/${kind}/${outcomeOf(status ?? 'none')}`);
  history.count(`done/read ${kind}`);
  history.count(`done/read ${view}`);
  if (session !== undefined && token !== undefined) session.token = token.text;
  const record = {
    level,
    token: sent === undefined ? undefined : parsed(sent),
    tokenOut: token,
    // An answer without a token promises the next one nothing.
    session: token === undefined ? undefined : session?.name,
    begun,
    ended,
    marked: line.marked,
    boundMs: BOUND_MS,
    sourceBoundMs: reading.sourceBoundMs,
    note: `isolate ${isolate}.${generation}, ${path}, ${status ?? 'none'}, token ${sent ?? 'none'} -> ${token?.text ?? 'none'}`,
  };
  const all = [...shown];
  for (const [dep, version] of all) history.reads.push({ dep, shown: version, ...record });
  const shows = all.map(([dep, version]) => ({ key: dep, version: version === 'absent' ? null : version }));
  history.tell({ ...line, shows });
  return answer;
}

async function unanswered(history: History, answer: Answer | string, what: string): Promise<void> {
  const reason = typeof answer === 'string' ? answer : String(answer.status);
  history.count(`unanswered/${reason}`);
  if (reason === '412')
    history.breaches.push(
      `The worker refused a token that it had returned: ${what}: ${JSON.stringify(answer)}`,
    );
  if (typeof answer === 'string') await sleep(BACKOFF_MS);
}

/** The answer says of itself that nothing but the past is promised of it. A refill of a stale entry is fresh. */
export function isMarked(status: string): boolean {
  return /detail=(\w+-stale|unverified|origin-unavailable)/.test(status);
}

function outcomeOf(status: string): string {
  const detail = /detail=([\w-]+)/.exec(status)?.[1];
  if (status.includes('; hit')) return `hit ${detail}`;
  const forward = /fwd=([\w-]+)/.exec(status)?.[1] === 'bypass' ? 'bypass' : 'miss';
  return [
    forward,
    ...(status.includes('; collapsed') ? ['collapsed'] : []),
    ...(detail ? [detail] : []),
  ].join(' ');
}

/** Every product that an answer tells of, with its version. */
function* shownBy(
  { history, products }: ReaderContext,
  question: Question,
  answer: Answer,
  ended: Moment,
): Generator<[dep: string, shown: number | 'absent']> {
  if (question.kind === 'product') {
    const isGone = answer.status === 404;
    yield [depOf(question.sku), isGone ? 'absent' : versionOf(history, Product.parse(answer.body))];
    return;
  }
  const { products: rows, next } = Page.parse(answer.body);
  const listed = new Map(rows.map((row) => [row.sku, versionOf(history, row)]));
  // Which row a page of prices lacks depends on the row's version: only those that it has are judged.
  if (question.kind === 'price-list') for (const [sku, shown] of listed) yield [depOf(sku), shown];
  else {
    const begunBy = (sku: string) =>
      (history.writes.get(depOf(sku))?.[0]?.begun.order ?? Infinity) < ended.order;
    for (const sku of allOf(products)) {
      const isInside = sku > question.after && (next === null || sku <= next);
      if (isInside && begunBy(sku)) yield [depOf(sku), listed.get(sku) ?? 'absent'];
    }
  }
}

function versionOf(history: History, row: z.output<typeof Product>): number {
  if (row.description !== fieldsOf(row.unitPrice).description)
    history.breaches.push(`An answer has fields of two versions: ${JSON.stringify(row)}`);
  return row.unitPrice;
}

function parsed(token: string): { epoch: string; seq: number } {
  const dot = token.lastIndexOf('.');
  return { epoch: token.slice(0, dot), seq: Number(token.slice(dot + 1)) };
}
