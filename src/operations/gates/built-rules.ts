import { referencesOf } from '../../define/model.ts';
import type { Objective } from '../../define/objectives.ts';
import type { CounterSample } from '../../platform/counters.ts';
import type { ObjectiveStatus } from '../alerts/watch.ts';
import { cacheReportOf, GATE_ANSWERS_MIN, HIT_RATIO_GATE } from '../hit-ratio.ts';
import { FEATURE_VALUES } from '../observation.ts';
import type { InventoryFacts, Known, KnownEvidence } from './evidence.ts';
import { checked, listed } from './pipeline-rules.ts';
import { type Fact, type Found, factOf, foundFrom, foundIn } from './verdict.ts';

/** The gates of what is documented, recorded and built. */

/** With fewer events an objective has no figure to compare with. The stream is checked once a minute: half an hour. */
const BASELINE_EVENTS_MIN = 30;
/** With fewer answers the uptime of the cache has no verdict. */
const UPTIME_ANSWERS_MIN = 100;
/** The share of answers for which the cache could be used. */
const UPTIME_MIN = 0.999;

export function dataModelDocumented(evidence: Pick<KnownEvidence, 'catalog' | 'checks'>): Found {
  const { events, views, models } = evidence.catalog;
  const lacking = (all: readonly { readonly name: string; readonly description: string }[]) =>
    all.filter(({ description }) => description.trim() === '').map(({ name }) => name);
  const withoutExample = events.filter(({ example }) => example === undefined).map(({ type }) => type);
  const facts = [
    every('event types have a description', events.length, lacking(events)),
    every('event types have an example', events.length, withoutExample),
    every('views have a description', views.length, lacking(views)),
    every('models have a description', models.length, lacking(models)),
    checked('the declared tables are those of the database', 'tables', evidence),
  ];
  const documented = facts.filter(({ holds }) => holds === true).length;
  return foundFrom(facts, { documented }, { documented: facts.length });
}

function every(fact: string, total: number, lacking: readonly string[]): Fact {
  const detail = `${total - lacking.length} of ${total}`;
  return {
    ...{ fact, holds: lacking.length === 0 },
    detail: lacking.length === 0 ? detail : `${detail}; not ${listed(lacking)}`,
  };
}

export function inventoryComplete({ operations, undocumented, incomplete }: InventoryFacts): Found {
  const facts = [
    every('routes are in the OpenAPI document', operations + undocumented.length, undocumented),
    every('operations have an id, a summary and the schema of their success', operations, incomplete),
  ];
  const measured = { operations, undocumented: undocumented.length, incomplete: incomplete.length };
  return foundFrom(facts, measured, { undocumentedMax: 0, incompleteMax: 0 });
}

/** Figures of the objectives that need no cache and no model: what a cache is compared with. */
export function baselinesRecorded({
  catalog,
  objectives,
}: Pick<KnownEvidence, 'catalog' | 'objectives'>): Found {
  const wanted = catalog.objectives.filter(isBaseline);
  const facts = wanted.map(({ name }) =>
    factOf(`"${name}" was measured`, objectives, (all) => {
      const events = all.find((status) => status.name === name)?.budget.all ?? 0;
      return { holds: events >= BASELINE_EVENTS_MIN, detail: `${events} events of 30 days` };
    }),
  );
  const recorded = facts.filter(({ holds }) => holds === true).length;
  const required = { objectives: Math.max(1, wanted.length), eventsMin: BASELINE_EVENTS_MIN };
  if (wanted.length > 0) return foundFrom(facts, { recorded }, required);
  const reason = 'The catalog has no objective about requests, the stream or the quality of events.';
  return { holds: false, measured: { recorded }, required, evidence: [], reason };
}

function isBaseline({ indicator }: Objective): boolean {
  switch (indicator.of) {
    case 'requests':
    case 'durations':
      return indicator.routes === undefined;
    case 'stream_checks':
    case 'quality':
      return true;
    default:
      return false;
  }
}

export function hitRatioHolds({ counters }: Pick<KnownEvidence, 'counters'>): Found {
  const required = { ratioAbove: HIT_RATIO_GATE, answersMin: GATE_ANSWERS_MIN };
  return foundIn(counters, required, (report) => {
    const { windows, gate } = cacheReportOf(report);
    const { ratio, answers, from } = windows[60].all;
    const facts: Fact[] = [
      {
        fact: 'answers of the last hour came from the cache',
        holds: gate.all === 'not_enough' ? null : gate.all === 'passed',
        detail:
          gate.all === 'not_enough'
            ? `${answers} answers, too few for a verdict`
            : Object.entries(from)
                .map(([place, count]) => `${place} ${count}`)
                .join(', '),
      },
    ];
    return foundFrom(facts, { ratio: ratio === null ? null : rounded(ratio), answers }, required);
  });
}

export function uptimeHolds({ catalog, objectives }: Pick<KnownEvidence, 'catalog' | 'objectives'>): Found {
  const required = { uptimeMin: UPTIME_MIN, answersMin: UPTIME_ANSWERS_MIN };
  const objective = catalog.objectives.find(({ indicator }) => indicator.of === 'cache_uptime');
  const known: Known<ObjectiveStatus | undefined> =
    objective === undefined
      ? { unknown: 'The catalog has no objective whose indicator is cache_uptime.' }
      : 'unknown' in objectives
        ? objectives
        : { value: objectives.value.find(({ name }) => name === objective.name) };
  return foundIn(known, required, (status) => {
    const { all, bad } = status?.budget ?? { all: 0, bad: 0 };
    const uptime = all === 0 ? null : 1 - bad / all;
    const isEnough = uptime !== null && all >= UPTIME_ANSWERS_MIN;
    const fact: Fact = {
      fact: 'the cache could be used over 30 days',
      holds: isEnough ? uptime >= UPTIME_MIN : null,
      detail: isEnough ? `not for ${bad} of ${all} answers` : `${all} answers, too few for a verdict`,
    };
    return foundFrom([fact], { uptime: uptime === null ? null : rounded(uptime), answers: all }, required);
  });
}

/** The patterns of a feature store: declared once, built from history, read by key, and shared with models. */
export function featureStoreInUse({
  catalog,
  features,
  counters,
}: Pick<KnownEvidence, 'catalog' | 'features' | 'counters'>): Found {
  const declared = catalog.features.length;
  const readers = catalog.models.filter((model) => referencesOf(model).length > 0).map(({ name }) => name);
  const facts: Fact[] = [
    { fact: 'features are declared', holds: declared > 0, detail: String(declared) },
    factOf('all of them are built', features, (states) => {
      const open = states.filter(({ state }) => state !== 'ready' && state !== 'retired');
      const names = open.map(({ entity, feature, state }) => `${entity}.${feature} is ${state}`);
      return { holds: open.length === 0, detail: open.length === 0 ? 'ready' : listed(names) };
    }),
    factOf('values are read online', counters, ({ totals }) => {
      const present = sumOf(totals, 'PRESENT');
      return { holds: present > 0, detail: `${present} values since the first count` };
    }),
    {
      fact: 'a model reads them',
      holds: readers.length > 0,
      detail: readers.length === 0 ? 'none does' : listed(readers),
    },
  ];
  const inUse = facts.filter(({ holds }) => holds === true).length;
  return foundFrom(facts, { patterns: inUse }, { patterns: facts.length });
}

function sumOf(totals: readonly CounterSample[], status: string): number {
  return totals.reduce(
    (sum, { name, labels, value }) =>
      name === FEATURE_VALUES && labels['status'] === status ? sum + value : sum,
    0,
  );
}

function rounded(share: number): number {
  return Math.round(share * 100_000) / 100_000;
}
