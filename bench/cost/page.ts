import { costOf, ITEMS, type Item, PLAN, PRICES, PRICES_READ_ON, totalOf, type Usage } from './prices.ts';
import { marginalCost, marginalTotal, retrainingUsage } from './retraining.ts';
import {
  ASSUMED,
  EVENTS_ALONE,
  EVENTS_TOGETHER,
  eventsUsage,
  READS,
  RETRAININGS,
  readsUsage,
  waitingUsage,
} from './scenarios.ts';

const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 0 });
const dollars = (value: number) => (value === 0 ? '0' : value < 10 ? value.toFixed(2) : number(value));
const millions = (value: number) => {
  if (value === 0) return '0';
  const inMillions = value / 1e6;
  return inMillions >= 100 ? number(inMillions) : String(Number(inMillions.toPrecision(3)));
};

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The items that some of the usages have. */
function usedIn(usages: readonly Usage[]): Item[] {
  return ITEMS.filter((item) => usages.some((usage) => (usage[item] ?? 0) > 0));
}

function bill(columns: Readonly<Record<string, Usage>>): string {
  const names = Object.keys(columns);
  const usages = Object.values(columns);
  const head = ['item', 'unit', ...names.flatMap((name) => [`${name}, millions`, '$'])];
  const rows = usedIn(usages).map((item) => [
    PRICES[item].name,
    PRICES[item].unit,
    ...usages.flatMap((usage) => [millions(usage[item] ?? 0), dollars(costOf(item, usage))]),
  ]);
  const plan = ['Plan', 'month', ...usages.flatMap(() => ['', dollars(PLAN)])];
  const total = ['**total**', '', ...usages.flatMap((usage) => ['', `**${number(totalOf(usage))}**`])];
  return table(head, [...rows, plan, total]);
}

/** Quantities of one run each, and what a thousand of them cost beyond what the plan includes. */
function retrainings(): string {
  const names = Object.keys(RETRAININGS);
  const usages = Object.values(RETRAININGS).map(retrainingUsage);
  const amount = (value: number) => (value < 10 ? String(Number(value.toPrecision(2))) : number(value));
  const head = ['item', 'unit', ...names.flatMap((name) => [name, '$ a thousand'])];
  const rows = usedIn(usages).map((item) => [
    PRICES[item].name,
    PRICES[item].unit,
    ...usages.flatMap((usage) => [amount(usage[item] ?? 0), dollars(1_000 * marginalCost(item, usage))]),
  ]);
  const total = usages.flatMap((usage) => ['', `**${dollars(1_000 * marginalTotal(usage))}**`]);
  return table(head, [...rows, ['**total**', '', ...total]]);
}

function prices(): string {
  const rows = ITEMS.map((item) => {
    const { name, unit, included, perMillion, source } = PRICES[item];
    return [name, unit, millions(included), String(perMillion), `[page](${source})`];
  });
  return table(['item', 'unit', 'included, millions', '$ a million', 'source'], rows);
}

/** The text of docs/cost.md. */
export function costPage(): string {
  const reads = readsUsage(READS);
  const alone = eventsUsage(EVENTS_ALONE);
  const together = eventsUsage(EVENTS_TOGETHER);
  return `# Cost

<!-- \`npm run cost -- --write\` writes this page. Change bench/cost, not this file. -->

With this page you can estimate what Millrace costs on Cloudflare's paid plan, by item, for a load of reads and for a load of single events. The operations are counted: \`bench/cost/counted.ts\` has the figures, and the tests that it names compare them with the runtime's own counters. \`npm run cost\` multiplies them with the prices below. The bill of the database is not included.

## 10,000 reads a second

${number(READS.readsPerS)} reads a second for 30 days, of which ${READS.hitRatio * 100} % are hits, by ${READS.isolates} isolates. **Before**: the platform logged each request, each fill asked and wrote KV and asked a gate, and each report of an isolate's counts wrote ${2 * ASSUMED.series + 1} rows. **After**: every fill counts as one of a contended key, which asks its gate: an upper bound.

${bill({ before: reads.before, after: reads.after })}

What is left are the requests themselves. A CDN in front of the worker that answers from the \`Cache-Control\` of public views lowers them; see [coherence.md](coherence.md) for what that does to freshness. A view whose policy names \`kv\` adds the difference between the two columns of KV, in proportion to its part of the fills.

## A million single events a day

${number(EVENTS_ALONE.eventsPerDay)} events a day, each sent by a request of its own, by ${EVENTS_ALONE.isolates} isolates that also read. Each counts in ${ASSUMED.counted.features} features of one entity, which have ${ASSUMED.counted.rows} rows: two features over days share one, one of all time has another, and one has a row for each item. **Alone**: each batch of a queue has one event, because \`max_batch_timeout\` is 0. **Together**: with \`max_batch_timeout = 1\` for \`millrace-events\` and \`millrace-changes\`, a batch has ${EVENTS_TOGETHER.perBatch} events at this rate; an event is then in the answers up to two seconds later.

${bill({ 'before, alone': alone.before, alone: alone.after, together: together.after })}

**With \`Prefer: wait\`** a request is answered once its event is stored and folded. The event goes through no queue. The requests of one isolate that wait at the same time store and fold their events together, and tell each shard that its fold is invalidated. The consumer of the changes folds the events once more, and the shards recognise them. In the column **alone** no event shares these calls; in the column **together** ${EVENTS_TOGETHER.perBatch} events do.

${bill({ 'waiting, alone': waitingUsage(EVENTS_ALONE), 'waiting, together': waitingUsage(EVENTS_TOGETHER) })}

Events that are sent together in one request, or imported, cost less than in the last column: the request, the message and the call of \`QueuedEvents\` are shared by all of them.

## A retraining

One [run](training.md#runs) each, from the gates to the challenger. A run of a model reports its steps and its operations of R2; from these and from its set follow the rows that \`TrainingRuns\` and \`Datasets\` write, and the statements of the database (\`bench/cost/retraining.ts\`). The end-to-end test of \`ride-minutes\` counts rows, statements and operations of a whole run in workerd and compares them with these formulas; \`test/workers/ranking-runs.test.ts\` does so for what a ranking reads and writes beside them.

${retrainings()}

With E label events in P = ⌈E / 2,000⌉ + 1 pages, K entities, I items and N parts, \`Datasets\` writes (the entities of each page, added up) + K + 2 I + P + 2 N + 4 rows and two for each of its alarms, and sends P (1 + 2 N) + N + 1 statements. \`TrainingRuns\` writes two rows for each step and four for each alarm, and sends 11 statements, and of a ranking P more. CPU time is the time of all steps, an upper bound. The artifacts are kept in R2 until they are deleted; storage is not in this table.

## Prices

Read on ${PRICES_READ_ON} in copies of the public pages. They change: compare them before you rely on this page. From December 1, 2026, logs have [a price of their own](https://developers.cloudflare.com/workers/observability/logs/workers-logs/) that is not in this table; Millrace writes next to none.

${prices()}

Reads and events use no operation of R2: a model is read once by each isolate that loads it. No counter goes to Analytics Engine ([operations.md](operations.md#metrics)).

## What is assumed

These figures are not counted. CPU times were measured on the development machine ([benchmarks.md](benchmarks.md)); the platform's differ.

${table(
  ['what', 'figure'],
  [
    ['Regions with readers', String(ASSUMED.regions)],
    ['CPU time of a warm hit', `${ASSUMED.hitCpuMs} ms`],
    ['CPU time of a fill, before and after', `${ASSUMED.fillCpuMs.before} and ${ASSUMED.fillCpuMs.after} ms`],
    ['How long a fill gate is active for a fill', `${ASSUMED.fillS * 1_000} ms`],
    ['CPU time of an event, with both of its consumers', `${ASSUMED.eventCpuMs} ms`],
    ['Series in one report of an isolate', String(ASSUMED.series)],
    [
      'Questions about the budgets of senders',
      'for readers without a key one for each 100 units ([gateway.md](gateway.md#limits)), for a key one for each 2,000: as if each sender used up its credit in each isolate',
    ],
    [
      'Objects with budgets that are active',
      `${ASSUMED.rateLimiters.reads} for readers without a key, ${ASSUMED.rateLimiters.events} for the key that sends events`,
    ],
    ['Calls of objects for a batch, and rows of the relay', 'read from the code'],
    ['A batch of a queue counts as a request', 'so that the figure is not too low'],
  ],
)}
`;
}
