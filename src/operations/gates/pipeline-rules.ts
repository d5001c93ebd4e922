import type { Catalog } from '../../define/catalog.ts';
import { type Gate, gatesOf, type PipelineFigures } from '../../training/runs/gates.ts';
import { QUALITY_GATE } from '../quality/report.ts';
import { ARRIVED_ITEM, DEAD_LETTERS_ITEM, PIPELINE_CHECKLIST, PIPELINE_SHARES } from './checklist.ts';
import type { Known, KnownEvidence } from './evidence.ts';
import { type Fact, type Found, factOf, foundFrom } from './verdict.ts';

/** The gates of the pipeline, and those that a training is judged by as well. */

/** At least six months, in days. */
export const HISTORY_DAYS_MIN = 183;
/** The most names in a text. */
const NAMES_SHOWN = 5;

/** The share of the checklist that is done. What is not known counts neither way: it may decide, and then nothing is known. */
export function pipelineComplete(gate: keyof typeof PIPELINE_SHARES, evidence: KnownEvidence): Found {
  const facts = [...PIPELINE_CHECKLIST.flatMap((item) => itemFacts(item, evidence)), ...kafkaFacts(evidence)];
  const shareMin = PIPELINE_SHARES[gate];
  const done = facts.filter(({ holds }) => holds === true).length;
  const unknown = facts.filter(({ holds }) => holds === null).length;
  const share = (items: number) => items / facts.length;
  const holds = share(done) >= shareMin ? true : share(done + unknown) < shareMin ? false : null;
  const { reason } = foundFrom(facts, {}, {});
  const measured = { share: Math.round(share(done) * 1_000) / 1_000, done, unknown, items: facts.length };
  return { holds, measured, required: { shareMin }, evidence: facts, reason: holds === true ? null : reason };
}

function itemFacts({ item, check }: (typeof PIPELINE_CHECKLIST)[number], evidence: KnownEvidence): Fact[] {
  if (check !== undefined) return [checked(item, check, evidence)];
  if (item === DEAD_LETTERS_ITEM)
    return [
      factOf(item, evidence.waiting, ({ deadLetters }) => ({
        holds: trainingGate('pipeline', { deadLetters }).holds,
        detail: `${deadLetters} dead letters`,
      })),
    ];
  if (item === ARRIVED_ITEM)
    return [
      factOf(item, arrivedIn(evidence), (arrived) => {
        const missing = evidence.catalog.events.filter(({ type }) => !arrived.includes(type));
        const total = evidence.catalog.events.length;
        const names = missing.map(({ type }) => type);
        return {
          holds: names.length === 0,
          detail: `${total - names.length} of ${total} types${names.length === 0 ? '' : `; none of ${listed(names)}`}`,
        };
      }),
    ];
  throw new Error(`Nothing judges the item "${item}" of the checklist.`);
}

/** The types that have arrived; not known unless both sources are. */
function arrivedIn({ quality, stored }: KnownEvidence): Known<readonly string[]> {
  if ('unknown' in quality) return quality;
  if ('unknown' in stored) return stored;
  return { value: [...quality.value.scored, ...stored.value] };
}

/** Kafka is an item only where it is configured. */
function kafkaFacts(evidence: KnownEvidence): Fact[] {
  const { checks } = evidence;
  const isConfigured = !('unknown' in checks) && checks.value.some(({ name }) => name === 'Kafka');
  return isConfigured ? [checked('the sources of Kafka are read', 'Kafka', evidence)] : [];
}

/** What the diagnosis says of one part. */
export function checked(fact: string, name: string, { checks }: Pick<KnownEvidence, 'checks'>): Fact {
  return factOf(fact, checks, (all) => {
    const found = all.find((check) => check.name === name);
    if (found === undefined) return { holds: null, detail: 'It was not examined.' };
    const holds = found.isUnknown === true ? null : found.verdict === 'ok';
    return { holds, detail: found.detail };
  });
}

/** The events that were stored last, judged by the contracts of this release. */
export function schemasStable({ newest, catalog }: Pick<KnownEvidence, 'newest' | 'catalog'>): Found {
  const required = { refusedMax: 0, eventsMin: 1 };
  const fact = factOf('the newest stored events keep the contracts of this release', newest, (events) => {
    const refused = events.filter(({ type, data }) => !keepsContract(catalog, type, data));
    const types = [...new Set(refused.map(({ type }) => type))];
    const detail = `${events.length - refused.length} of ${events.length} events`;
    return {
      holds: events.length === 0 ? null : refused.length === 0,
      detail: refused.length === 0 ? detail : `${detail}; refused are some of ${listed(types)}`,
    };
  });
  const events = 'unknown' in newest ? [] : newest.value;
  const refused = events.filter(({ type, data }) => !keepsContract(catalog, type, data)).length;
  const types = new Set(events.map(({ type }) => type)).size;
  return foundFrom([fact], { events: events.length, refused, types }, required);
}

function keepsContract({ eventTypes }: Catalog, type: string, data: unknown): boolean {
  const definition = eventTypes.get(type);
  return definition !== undefined && definition.parse(data) !== null;
}

/** Quality, as the gates of a training judge it. */
export function qualityHolds({ quality }: Pick<KnownEvidence, 'quality'>): Found {
  const judged = trainingGate('quality', { quality: 'unknown' in quality ? null : quality.value.lowest });
  const fact = factOf('the lowest score of the types with enough events', quality, ({ lowest }) =>
    lowest === null
      ? { holds: null, detail: 'no window has enough events for a verdict' }
      : { holds: judged.holds, detail: `${lowest.score}; ${lowest.events} events of ${lowest.window}` },
  );
  return foundFrom([fact], judged.measured, judged.required);
}

/** Whether the stream is followed, as the gates of a training judge it. */
export function streamingKeepsUp({ waiting, kafkaLag }: Pick<KnownEvidence, 'waiting' | 'kafkaLag'>): Found {
  const waitingChanges = knownOr(waiting, WELL).waitingChanges;
  const lag = knownOr(kafkaLag, null);
  const judged = trainingGate('streaming', { waitingChanges, kafkaLag: lag });
  const facts = [
    factOf('changes do not pile up in the outbox', waiting, (value) => ({
      holds: trainingGate('streaming', { waitingChanges: value.waitingChanges }).holds,
      detail: `${value.waitingChanges} wait`,
    })),
    factOf('records of Kafka do not pile up', kafkaLag, (value) => {
      if (value === null) return { holds: true, detail: 'Kafka is not configured.' };
      if (value === 'unknown') return { holds: null, detail: 'A partition did not answer.' };
      return {
        holds: trainingGate('streaming', { kafkaLag: value }).holds,
        detail: `${value} are not stored`,
      };
    }),
  ];
  const measured = { waitingChanges: 'unknown' in waiting ? null : waitingChanges, kafkaLag: lag };
  return foundFrom(facts, measured, judged.required);
}

/** Whether there is history enough to learn from, as the gates of a training judge it. */
export function historyHolds({ history }: Pick<KnownEvidence, 'history'>): Found {
  const judged = trainingGate('history', { history: knownOr(history, null) });
  const fact = factOf('events go back far enough', history, (range) => ({
    holds: judged.holds,
    detail: range === null ? 'no such event is stored' : `${judged.measured['days']} days`,
  }));
  return foundFrom([fact], 'unknown' in history ? {} : judged.measured, judged.required);
}

const WELL: PipelineFigures = {
  ...{ deadLetters: 0, waitingChanges: 0, kafkaLag: null },
  ...{ quality: null, history: null },
};

/** One gate of a training, which reads only its own figures. */
function trainingGate(name: Gate['gate'], figures: Partial<PipelineFigures>): Gate {
  const rules = { qualityMin: QUALITY_GATE, historyDays: HISTORY_DAYS_MIN, knowledge: 'snapshot' } as const;
  const found = gatesOf({ ...WELL, ...figures }, rules).find(({ gate }) => gate === name);
  if (found === undefined) throw new Error(`A training has no gate "${name}".`);
  return found;
}

function knownOr<T>(known: Known<T>, otherwise: T): T {
  return 'unknown' in known ? otherwise : known.value;
}

export function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
