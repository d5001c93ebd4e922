/**
 * What filling ahead is worth, on read traffic made up around real purchases (`warming/trace.ts` says how):
 * `npm run bench:warming -- online_retail_II.csv.gz [--speed 60]`. Everything was tuned on invoices before those
 * that are replayed; the first quarter of these only fills the cache and teaches, the rest is judged.
 */
import { readOptions, UsageError } from '../../../scripts/command-line/options.ts';
import { readOrExit } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { invalidate, newClock } from '../../../src/cache/clock/clock.ts';
import { DEMAND_SETTINGS, DemandModel } from '../../../src/cache/warming/demand.ts';
import { cachePolicy } from '../../../src/define/cache-policy.ts';
import { LruOrder, Model, NoWarming, Oracle, Popularity } from './warming/policies.ts';
import { type Options, type Outcome, type Policy, replay } from './warming/replay.ts';
import { ModelWithSessions, recommender } from './warming/sessions.ts';
import { type Invoice, makeTrace, readInvoices, type Trace } from './warming/trace.ts';

/** Shares of the invoices in the order of time: tuning ended at the first, judging begins at the second. */
const REPLAYED_FROM = 0.9;
const JUDGED_FROM = 0.925;
const SHARES = [0.05, 0.25, 1];
const SHARE = 0.25;
const HOT_PAGES = 32;
const MINUTE_MS = 60_000;

function tableOf(trace: Trace, judgeFromMs: number) {
  console.log('\n| policy | budget | hit ratio | origin reads a request | warms | wasted |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  return (name: string, policy: Policy, share: number, options: Partial<Options> = {}): void => {
    const outcome = replay(trace.events, policy, { judgeFromMs, share, ...options });
    console.log(`| ${[name, share || '', ...figures(outcome)].join(' | ')} |`);
  };
}

function figures({ reads, hits, demandFills, warms, used }: Outcome): string[] {
  const wasted = warms === 0 ? '' : `${((100 * (warms - used)) / warms).toFixed(1)} %`;
  return [(hits / reads).toFixed(4), ((demandFills + warms) / reads).toFixed(4), String(warms), wasted];
}

/** What the model costs, in time of this machine. */
function measureCost(): void {
  const model = new DemandModel();
  const policy = cachePolicy();
  const requests = Array.from({ length: DEMAND_SETTINGS.keysMax }, (_, slot) => ({
    recipe: { view: 'product', key: `view/product/${slot}`, input: { slot }, policy },
    entry: {
      body: '{}',
      etag: '""',
      tagHashes: [slot, slot + 1, slot + 2],
      epoch: 'e',
      stamp: 0,
      filledAt: 0,
    },
  }));
  const rounds = 500;
  const answeredMs = timed(() => {
    for (let round = 0; round < rounds; round += 1)
      for (const { recipe, entry } of requests) model.answered(recipe, entry, round);
  });
  const clock = newClock('e');
  invalidate(clock, [1]);
  const lookedMs = timed(() => {
    for (let round = 0; round < rounds; round += 1) model.candidates(clock, rounds, 4);
  });
  const nsPerAnswer = (answeredMs * 1e6) / (rounds * requests.length);
  console.log(`\nan answer is counted in ${nsPerAnswer.toFixed(0)} ns,`);
  console.log(`${requests.length} keys are looked through in ${((lookedMs * 1e3) / rounds).toFixed(0)} µs`);
}

function timed(work: () => void): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

function traceOf(invoices: readonly Invoice[], speed: number, hotPages: number) {
  const replayed = invoices.slice(Math.floor(invoices.length * REPLAYED_FROM));
  const trace = makeTrace(replayed, { speed, hotPages });
  const judgedAt = Math.floor((replayed.length * (JUDGED_FROM - REPLAYED_FROM)) / (1 - REPLAYED_FROM));
  return { trace, judgeFromMs: trace.invoices[judgedAt]?.atMs ?? 0 };
}

const { file, speed } = readOrExit(() => {
  const { values, positionals } = readOptions({
    command: 'npm run bench:warming',
    positionalsMax: 1,
    options: { speed: { type: 'string', default: '60' } },
  });
  const [name] = positionals;
  if (name === undefined)
    throw new UsageError('Name a file of the UCI data set: npm run bench:warming -- FILE.');
  return { file: name, speed: wholeNumberOf('--speed', values.speed, { min: 1 }) };
});
const invoices = await readInvoices(file);

const { trace, judgeFromMs } = traceOf(invoices, speed, 0);
console.log(`${trace.events.length} reads and invalidations, ${speed} times as fast as they were`);
const row = tableOf(trace, judgeFromMs);
row('none', new NoWarming(), 0);
for (const share of SHARES) {
  row('LRU order', new LruOrder(), share);
  row('popularity', new Popularity(), share);
  row('model', new Model(), share);
  row('oracle', new Oracle(trace.events), share);
}
row('model that goes on at 0.3', new Model({ useProbabilityMin: 0.3 }), SHARE);
for (const minutes of [10, 30])
  row(`model, forgets all every ${minutes} min`, new Model(), SHARE, { forgetEveryMs: minutes * MINUTE_MS });
const before = invoices.slice(0, Math.floor(invoices.length * REPLAYED_FROM));
const recommended = recommender(before, trace.productPage);
row('model and transitions', new ModelWithSessions({ transitions: true, recommended: undefined }), SHARE);
row('model and recommendations', new ModelWithSessions({ transitions: false, recommended }), SHARE);

const hot = traceOf(invoices, speed, HOT_PAGES);
console.log(`\nwith ${HOT_PAGES} pages that every invoice invalidates:`);
const hotRow = tableOf(hot.trace, hot.judgeFromMs);
hotRow('none', new NoWarming(), 0);
hotRow('popularity', new Popularity(), SHARE);
hotRow('model', new Model(), SHARE);
hotRow('oracle', new Oracle(hot.trace.events), SHARE);

measureCost();
