/**
 * Filling ahead, judged on a held-out replay: `npm run bench:warming -- FILE [--from 0.72] [--to 0.80] [--speed 60]`.
 * FILE is a UCI "Online Retail" file. A share of its invoices, in the order of time, is the trace (bench/warming/
 * trace.ts tells what of it is real); of that, the first 35 % only teach and fill, and the rest is judged.
 */
import { parseArgs } from 'node:util';
import { LruOrder, Model, NoWarming, Oracle, Popularity } from './warming/policies.ts';
import { type Options, type Policy, replay } from './warming/replay.ts';
import { ModelWithSessions, recommender } from './warming/sessions.ts';
import { makeTrace, readInvoices } from './warming/trace.ts';

const LEARN_SHARE = 0.35;
/** What warming may add to the origin's reads for nothing, and how far ahead of that it may go. */
const BUDGETS = [
  { share: 0.1, burst: 8 },
  { share: 0.25, burst: 8 },
  { share: 0.25, burst: 32 },
] as const;
const TEN_MINUTES_MS = 600_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string', default: '0.72' },
    to: { type: 'string', default: '0.80' },
    speed: { type: 'string', default: '60' },
  },
});
const [file] = positionals;
if (file === undefined) throw new Error('Name a UCI "Online Retail" file.');
const [from, to, speed] = [values.from, values.to, values.speed].map(Number);
if (!(from !== undefined && to !== undefined && speed !== undefined && from < to && to <= 1 && speed > 0))
  throw new RangeError('--from and --to are shares of the file, 0 to 1, and --speed is above 0.');

const invoices = await readInvoices(file);
const momentAt = (share: number) => {
  const invoice = invoices[Math.min(invoices.length - 1, Math.floor(invoices.length * share))];
  if (invoice === undefined) throw new Error('The file holds no sale.');
  return invoice.atMs;
};
const trace = makeTrace(
  invoices.filter(({ atMs }) => atMs >= momentAt(from) && atMs < momentAt(to)),
  speed,
);
const judgeFromMs = trace.invoices[Math.floor(trace.invoices.length * LEARN_SHARE)]?.atMs ?? 0;
const recommended = recommender(
  invoices.filter(({ atMs }) => atMs < momentAt(from)),
  trace.productPage,
);
const hours = ((trace.events.at(-1)?.atMs ?? 0) - (trace.events[0]?.atMs ?? 0)) / 3_600_000;
console.log(
  `${trace.events.length.toLocaleString('en')} events in ${hours.toFixed(1)} h, of which the last 65 % of the invoices are judged.\n`,
);
console.log('| budget: share, burst | policy | hit ratio | wasted warms | reads of the origin a request |');
console.log('| --- | --- | --- | --- | --- |');
row('none', '', () => new NoWarming(), { share: 0 });
for (const budget of BUDGETS) {
  const named = `${budget.share}, ${budget.burst}`;
  row('LRU order', named, () => new LruOrder(), budget);
  row('popularity', named, () => new Popularity(), budget);
  row('model', named, () => new Model(), budget);
  row('model in isolates of ten minutes', named, () => new Model(), {
    ...budget,
    forgetEveryMs: TEN_MINUTES_MS,
  });
  row(
    'model and what sessions ask next',
    named,
    () => new ModelWithSessions({ transitions: true, recommended: undefined }),
    budget,
  );
  row(
    'model and what was recommended',
    named,
    () => new ModelWithSessions({ transitions: false, recommended }),
    budget,
  );
  row('oracle', named, () => new Oracle(trace.events), budget);
}

function row(
  name: string,
  budget: string,
  policy: () => Policy,
  options: Omit<Options, 'judgeFromMs'>,
): void {
  const { reads, hits, demandFills, warms, used } = replay(trace.events, policy(), {
    judgeFromMs,
    ...options,
  });
  const percent = (part: number, all: number) => (all === 0 ? '–' : `${((100 * part) / all).toFixed(1)} %`);
  const origin = ((demandFills + warms) / reads).toFixed(4);
  console.log(
    `| ${budget} | ${name} | ${percent(hits, reads)} | ${percent(warms - used, warms)} of ${warms} | ${origin} |`,
  );
}
