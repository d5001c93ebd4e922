import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { productPage } from '../../test/support/catalog/views.ts';
import type { Moment, ReadRecord } from '../../test/support/coherence/judge.ts';
import { type Answer, ask, headerOf, tokenOf } from './client.ts';
import { customerDep, depOf, fieldsOf, type History, moment } from './history.ts';
import { allOf, type Products, pick, zipf } from './products.ts';
import { type Customers, purchasesOf, SOLD } from './purchases.ts';
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
const CUSTOMER_SHARE = 0.25;
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
  readonly customers: Customers;
  readonly lastPurchases: readonly { customer: string; token: string }[];
}

interface Session {
  readonly name: string;
  token: string | undefined;
}

/** What is asked: one product, a page of the list in the order of SKUs, or of that from the cheapest on; of a customer. */
type Question =
  | { readonly kind: 'product'; readonly sku: string }
  | { readonly kind: 'list'; readonly after: string; readonly limit: number }
  | { readonly kind: 'price-list' }
  | { readonly kind: 'features'; readonly customer: string }
  | { readonly kind: 'prediction'; readonly customer: string };

/** How it is asked. */
interface Way {
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
  const { runtime } = context;
  const written = Math.random() < 0.5 ? newest(context) : undefined;
  const session: Session = { name: `session ${reader}/${round}`, token: written?.token };
  let question: Question = written?.question ?? draw(context);
  for (let reads = 0; reads < SESSION_READS && !signal.aborted; reads += 1) {
    if (reads > 0 && Math.random() >= AGAIN_SHARE) question = draw(context);
    const isolate = Math.floor(Math.random() * (runtime.isolates - 1));
    await readOnce(context, question, { process, isolate, level: 'bounded', session });
  }
}

/** What was acknowledged last, with its token. */
function newest({ lastTokens, lastPurchases }: ReaderContext) {
  const [write, purchase] = [lastTokens[0], lastPurchases[0]];
  if (purchase !== undefined && Math.random() < 0.5)
    return { token: purchase.token, question: ofCustomer(purchase.customer) };
  return write && { token: write.token, question: { kind: 'product', sku: write.sku } as const };
}

function ofCustomer(customer: string): Question {
  return { kind: Math.random() < 0.5 ? 'features' : 'prediction', customer };
}

function draw({ products, customers }: ReaderContext): Question {
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
  if (customers.active.length > 0 && among(CUSTOMER_SHARE)) return ofCustomer(pick(customers.active));
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
    case 'features':
      return '/v1/features/read';
    case 'prediction':
      return `/v1/customers/${question.customer}/expected-spend`;
  }
}

/** What is sent beside the path. */
function sentWith(question: Question) {
  if (question.kind !== 'features') return { method: 'GET' } as const;
  const body = JSON.stringify({
    ...{ entity: 'customer', keys: [question.customer], features: ['purchases_365d'] },
  });
  return { method: 'POST', body } as const;
}

/** Of requests to a model: longer than anything that it waits for, so that no other answer stands in. */
const DEADLINE_MS = 10_000;

/** Asks once, and records what was shown. */
export async function readOnce(
  context: ReaderContext,
  question: Question,
  { process, isolate, level, session }: Way,
): Promise<Answer | undefined> {
  const { history, runtime } = context;
  const path = pathOf(question);
  const home = CONTINENTS[isolate % CONTINENTS.length] ?? 'NA';
  const { authorization, ...headers } = runtime.headersFrom(
    Math.random() < STRANGER_SHARE ? pick(CONTINENTS) : home,
  );
  const isOfCustomer = question.kind === 'features' || question.kind === 'prediction';
  if (isOfCustomer) {
    headers['authorization'] = authorization ?? '';
    headers['content-type'] = 'application/json';
    headers['millrace-deadline-ms'] = String(DEADLINE_MS);
  }
  if (level !== 'bounded') headers['millrace-consistency'] = level;
  const sent = session?.token;
  if (sent !== undefined) headers['millrace-token'] = sent;
  const { generation } = runtime;
  const begun = moment();
  const answer = await ask(runtime.urlOf(isolate, path), { headers, ...sentWith(question) });
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
    view: question.kind,
    path,
    shape: question.kind === 'product' || isOfCustomer ? ('row' as const) : ('page' as const),
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
  const unjudged = isOfCustomer ? purchasesOf(question.kind, answer) : 0;
  if (typeof unjudged === 'string') {
    history.tell({ ...line, shows: [] });
    history.count(`unanswered/${question.kind}: ${unjudged}`);
    return undefined;
  }
  history.answered += 1;
  history.count(`read/${kind}/${outcomeOf(status ?? 'none')}`);
  history.count(`done/read ${kind}`);
  history.count(`done/read ${question.kind}`);
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
    // A purchase is owed once it is acknowledged: until then it may be stored and not folded.
    sourceBoundMs: isOfCustomer ? undefined : context.sourceBoundMs,
    note: `isolate ${isolate}.${generation}, ${path}, ${status ?? 'none'}, token ${sent ?? 'none'} -> ${token?.text ?? 'none'}`,
  };
  const all = [...shownBy(context, question, answer, ended)];
  for (const [dep, shown] of all) history.reads.push({ dep, shown, ...record });
  const shows = all.map(([dep, shown]) => ({ key: dep, version: shown === 'absent' ? null : shown }));
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
function isMarked(status: string): boolean {
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

/** Every product that an answer tells of, with its version, or a customer with the number of its purchases. */
function* shownBy(
  { history, products }: ReaderContext,
  question: Question,
  answer: Answer,
  ended: Moment,
): Generator<[dep: string, shown: number | 'absent']> {
  if (question.kind === 'features' || question.kind === 'prediction') {
    const purchases = Number(purchasesOf(question.kind, answer));
    yield [customerDep(question.customer), purchases === 0 ? 'absent' : purchases];
    return;
  }
  if (question.kind === 'product') {
    yield [
      depOf(question.sku),
      answer.status === 404 ? 'absent' : versionOf(history, Product.parse(answer.body)),
    ];
    return;
  }
  const { products: rows, next } = Page.parse(answer.body);
  const others = rows.filter(({ sku }) => sku !== SOLD);
  const listed = new Map(others.map((row) => [row.sku, versionOf(history, row)]));
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
