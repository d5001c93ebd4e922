import type { PgTable } from 'drizzle-orm/pg-core';
import type { EntityDefinition, History, HistoryDefinition } from './entity.ts';
import type { EventContext } from './event-context.ts';

/** What a rule speaks about, by the dimensions of DAMA UK, "The six primary dimensions for data quality" (2013). */
export const QUALITY_DIMENSIONS = [
  'completeness',
  'validity',
  'uniqueness',
  'timeliness',
  'consistency',
] as const;
export type QualityDimension = (typeof QUALITY_DIMENSIONS)[number];

/** Rules of one event type: all of them are in the answer of `GET /v1/quality`. */
const RULES_MAX = 40;
/** Bins of a distribution: more say nothing about a window of some hundred events. */
const BINS_MAX = 24;
/** The longest time in which a `unique` rule looks for an equal row: each event costs a look-up of so much history. */
const UNIQUE_WITHIN_MS_MAX = 24 * 3_600_000;
/** What is commonly called a major shift (Siddiqi, "Credit Risk Scorecards", 2006): below 0.1 none, up to 0.25 some. */
const PSI_MAX_DEFAULT = 0.25;

/** What every rule says of itself. */
export interface RuleDeclaration {
  /** Stable, lower case with underscores: it is shown to clients and counted. */
  readonly name: string;
  readonly dimension: QualityDimension;
  /** `blocking`: an event that breaks it is kept in quarantine under its name. `scoring`: it is counted. */
  readonly mode: 'blocking' | 'scoring';
  /** JSON Pointer into the event, e.g. `/data/quantity`. */
  readonly pointer: string;
  readonly detail: string;
}

/** A rule that one event alone keeps or breaks. */
export interface EventRule<Data> extends RuleDeclaration {
  readonly check: 'event';
  /** Null where the rule says nothing about this event: it is not counted then. */
  readonly holds: (data: Data, context: EventContext) => boolean | null;
}

/** A rule about the row that an event appended to a history; the database judges a whole batch in one statement. */
export type StoredRule = RuleDeclaration & {
  readonly mode: 'scoring';
  readonly history: HistoryDefinition;
} & (
    | {
        readonly check: 'referential';
        /** Of the row, in the order of the columns of the entity's key. */
        readonly properties: readonly string[];
        readonly entity: EntityDefinition;
      }
    | {
        readonly check: 'unique';
        /** Properties of the row that are not all equal in two rows. */
        readonly properties: readonly string[];
        /** The row's property that says when it happened. */
        readonly time: string;
        readonly withinMs: number;
      }
  );

/** A rule about many events: the values of a window are spread over the bins as those before it were. */
export interface DistributionRule<Data> extends RuleDeclaration {
  readonly check: 'distribution';
  readonly mode: 'scoring';
  readonly bins: readonly string[];
  /** The bin's number; null where the event has no value. */
  readonly binOf: (data: Data) => number | null;
  /** A population stability index above it is a shift. */
  readonly psiMax: number;
}

export type QualityRule<Data> = EventRule<Data> | StoredRule | DistributionRule<Data>;

/** What may be said of any rule beside what its builder needs. */
interface Wording {
  readonly name?: string;
  readonly dimension?: QualityDimension;
  readonly detail?: string;
}
interface Wish extends Wording {
  /** `scoring`, unless it says otherwise: a rule holds data back only where that was asked for. */
  readonly mode?: RuleDeclaration['mode'];
}

/** A property of a history's rows. */
type RowProperty<Table extends PgTable> = keyof Table['$inferSelect'] & string;

/** The field is there: neither null, nor absent, nor blank. Completeness. */
export function required<Field extends string>(
  field: Field,
  wish: Wish = {},
): EventRule<Readonly<Record<Field, unknown>>> {
  return {
    ...declared(wish, field, 'missing', 'completeness', `The field "${field}" is not given.`),
    check: 'event',
    holds: ({ [field]: value }) =>
      typeof value === 'string' ? value.trim() !== '' : value !== null && value !== undefined,
  };
}

/** The number is at least `min`, more than `above`, and at most `max`. Not judged where there is none: that is for `required`. Validity. */
export function range<Field extends string>(
  field: Field,
  bounds: Wish & { readonly min?: number; readonly max?: number; readonly above?: number },
): EventRule<Readonly<Record<Field, number | null | undefined>>> {
  const { min = -Infinity, above = -Infinity, max = Infinity } = bounds;
  return {
    ...declared(bounds, field, 'out_of_range', 'validity', `The field "${field}" is out of its range.`),
    check: 'event',
    holds: ({ [field]: value }) =>
      typeof value === 'number' ? value >= min && value <= max && value > above : null,
  };
}

/** The text matches. Not judged where there is none. Validity. */
export function pattern<Field extends string>(
  field: Field,
  expression: RegExp,
  wish: Wish = {},
): EventRule<Readonly<Record<Field, string | null | undefined>>> {
  if (expression.global || expression.sticky)
    throw new Error(`The pattern of "${field}" keeps a position between two texts: leave out g and y.`);
  return {
    ...declared(wish, field, 'malformed', 'validity', `The field "${field}" is not of its form.`),
    check: 'event',
    holds: ({ [field]: value }) => (typeof value === 'string' ? expression.test(value) : null),
  };
}

/**
 * The event came soon after it happened. One that is older than `historyMs` is taken for history that is filled in
 * later, and is not judged. Timeliness.
 */
export function freshness(
  limits: Wish & { readonly maxAgeMs: number; readonly historyMs?: number },
): EventRule<unknown> {
  const { maxAgeMs, historyMs = Number.POSITIVE_INFINITY } = limits;
  const detail = `The event came more than ${maxAgeMs / 1_000} s after it had happened.`;
  return {
    ...declared({ name: 'arrived_late', ...limits }, 'time', '', 'timeliness', detail),
    pointer: '/time',
    check: 'event',
    holds: (_, { occurredAt, now }) => (now - occurredAt > historyMs ? null : now - occurredAt <= maxAgeMs),
  };
}

/** Any other rule about one event. */
export function custom<Data>(
  rule: Pick<RuleDeclaration, 'name' | 'dimension' | 'pointer' | 'detail'> & {
    readonly mode?: RuleDeclaration['mode'];
    readonly holds: EventRule<Data>['holds'];
  },
): EventRule<Data> {
  return { mode: 'scoring', ...rule, check: 'event' };
}

/**
 * The row that the event appended names an entity whose row exists. Not judged where it is null. Consistency.
 *
 * @param property of the row; several, in the order of the columns of the entity's key, where it has several.
 * @throws Error for another number of properties than the key has columns.
 */
export function referential<Table extends PgTable>(
  property: RowProperty<Table> | readonly RowProperty<Table>[],
  target: Wording & { readonly history: History<Table>; readonly entity: EntityDefinition },
): StoredRule {
  const { history, entity } = target;
  const properties = typeof property === 'string' ? [property] : property;
  const [first] = properties;
  if (first === undefined || properties.length !== entity.key.columns.length)
    throw new Error(`A referential rule names a property for each key column of "${entity.name}".`);
  const detail = `The field "${properties.join(', ')}" names no known ${entity.name}.`;
  const declaration = declared(target, first, 'unknown', 'consistency', detail);
  return { ...declaration, mode: 'scoring', check: 'referential', history, properties, entity };
}

/**
 * No earlier row of the history is equal in these properties within the time before and after: what was said twice
 * under two ids. The later one breaks it. The history's table has an index that begins with one of them. Uniqueness.
 */
export function unique<Table extends PgTable>(
  properties: readonly RowProperty<Table>[],
  target: Wording & {
    readonly history: History<Table>;
    readonly withinMs: number;
    /** The row's property that says when it happened: `occurredAt` unless another is named. */
    readonly time?: RowProperty<Table>;
  },
): StoredRule {
  const { history, withinMs, time = 'occurredAt' } = target;
  const [first] = properties;
  if (first === undefined) throw new Error('A unique rule names the properties that make a row unique.');
  if (!(withinMs > 0 && withinMs <= UNIQUE_WITHIN_MS_MAX))
    throw new Error(`A unique rule looks at most ${UNIQUE_WITHIN_MS_MAX} ms around an event.`);
  const detail = `Another event says the same of ${properties.join(', ')}.`;
  const declaration = declared(target, first, 'not_unique', 'uniqueness', detail);
  return { ...declaration, mode: 'scoring', check: 'unique', history, properties, time, withinMs };
}

/**
 * The values of a window are spread over the bins as those of the time before it were. Judged by the population
 * stability index; see `src/operations/quality/shift.ts`. Consistency.
 *
 * @param spread `edges`, ascending, for a number: bins below the first, between two, and from the last on; or the
 *   `values` of a text, with one bin more for all others.
 */
export function distribution<Field extends string>(
  field: Field,
  spread: Wording & { readonly psiMax?: number } & (
      | { readonly edges: readonly number[] }
      | { readonly values: readonly string[] }
    ),
): DistributionRule<Readonly<Record<Field, unknown>>> {
  const bins = 'edges' in spread ? binsBetween(spread.edges) : [...spread.values, 'other'];
  if (bins.length < 2 || bins.length > BINS_MAX || new Set(bins).size !== bins.length)
    throw new Error(`The distribution of "${field}" has 2 to ${BINS_MAX} bins, in order, each once.`);
  const detail = `The values of "${field}" are spread otherwise than before.`;
  return {
    ...declared(spread, field, 'shifted', 'consistency', detail),
    mode: 'scoring',
    check: 'distribution',
    bins,
    psiMax: spread.psiMax ?? PSI_MAX_DEFAULT,
    binOf: ({ [field]: value }) => {
      if ('edges' in spread)
        return typeof value === 'number' ? spread.edges.filter((edge) => value >= edge).length : null;
      if (typeof value !== 'string') return null;
      const known = spread.values.indexOf(value);
      return known === -1 ? bins.length - 1 : known;
    },
  };
}

/** What one event says to the rules of its type: in their order. */
export interface Assessment {
  /** Of each event rule: whether it holds; null where it was not judged. */
  readonly held: readonly (boolean | null)[];
  /** Of each distribution: the bin; null for no value. */
  readonly bins: readonly (number | null)[];
}

/** The rules of an event type, for whoever scores. */
export interface EventQuality {
  readonly eventRules: readonly RuleDeclaration[];
  readonly storedRules: readonly StoredRule[];
  readonly distributions: readonly (RuleDeclaration &
    Pick<DistributionRule<never>, 'bins' | 'psiMax' | 'check'>)[];
  /** Judges all event rules, the blocking ones too; null where the data break the contract. */
  readonly assess: (data: unknown, context: EventContext) => Assessment | null;
}

/** @param parse the data if it keeps the contract, else null. */
export function qualityOf<Data>(
  type: string,
  rules: readonly QualityRule<Data>[],
  parse: (data: unknown) => Data | null,
): EventQuality {
  const names = rules.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`The event type ${type} has the rule "${twice}" twice.`);
  if (rules.length > RULES_MAX) throw new Error(`The event type ${type} has more than ${RULES_MAX} rules.`);
  const eventRules = rules.filter((rule) => rule.check === 'event');
  const distributions = rules.filter((rule) => rule.check === 'distribution');
  return {
    eventRules,
    storedRules: rules.filter((rule) => rule.check === 'referential' || rule.check === 'unique'),
    distributions,
    assess: (data, context) => {
      const parsed = parse(data);
      if (parsed === null) return null;
      return {
        held: eventRules.map((rule) => held(rule, parsed, context)),
        bins: distributions.map((rule) => rule.binOf(parsed)),
      };
    },
  };
}

/** A scoring rule that throws is broken by the event that makes it throw: it must not keep a batch from its score. */
function held<Data>(rule: EventRule<Data>, data: Data, context: EventContext): boolean | null {
  try {
    return rule.holds(data, context);
  } catch {
    return false;
  }
}

function declared(
  { name, dimension: wanted, mode = 'scoring', detail: text }: Wish,
  field: string,
  suffix: string,
  dimension: QualityDimension,
  detail: string,
): RuleDeclaration {
  const words = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return {
    name: name ?? `${words}_${suffix}`,
    dimension: wanted ?? dimension,
    mode,
    pointer: `/data/${field}`,
    detail: text ?? detail,
  };
}

function binsBetween(edges: readonly number[]): string[] {
  if (edges.some((edge, index) => !(edge > (edges[index - 1] ?? Number.NEGATIVE_INFINITY)))) return [];
  return [
    `<${edges[0]}`,
    ...edges.map((edge, index) =>
      index === edges.length - 1 ? `>=${edge}` : `${edge}..${edges[index + 1]}`,
    ),
  ];
}
