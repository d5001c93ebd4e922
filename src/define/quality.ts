import type { PgTable } from 'drizzle-orm/pg-core';
import type { EntityDefinition, History, HistoryDefinition } from './entity.ts';
import type { EventContext } from './event-context.ts';
import { DeclarationMistake, defining } from './mistake.ts';

/** The dimension that a rule measures, from DAMA UK, "The six primary dimensions for data quality" (2013). */
export const QUALITY_DIMENSIONS = [
  'completeness',
  'validity',
  'uniqueness',
  'timeliness',
  'consistency',
] as const;
export type QualityDimension = (typeof QUALITY_DIMENSIONS)[number];

/** The most rules of one event type: `GET /v1/quality` returns all of them. */
const RULES_MAX = 40;
/** The most bins of a distribution: with more, a window of some hundred events has too few values per bin. */
const BINS_MAX = 24;
/**
 * The longest period in which a `unique` rule searches for an equal row: each event costs a look-up in that much
 * history.
 */
const UNIQUE_WITHIN_MS_MAX = 24 * 3_600_000;
/** The common limit of a major shift (Siddiqi, "Credit Risk Scorecards", 2006): below 0.1 none, up to 0.25 some. */
const PSI_MAX_DEFAULT = 0.25;

/** The members that every rule declares. */
export interface RuleDeclaration {
  /** Stable, lower case with underscores. Clients see it, and counters use it. */
  readonly name: string;
  readonly dimension: QualityDimension;
  /**
   * `blocking`: an event that breaks the rule is quarantined, with the rule's name as the reason. `scoring`: it is only
   * counted.
   */
  readonly mode: 'blocking' | 'scoring';
  /** JSON Pointer into the event, e.g. `/data/quantity`. */
  readonly pointer: string;
  readonly detail: string;
}

/** A rule that a single event satisfies or breaks. */
export interface EventRule<Data> extends RuleDeclaration {
  readonly check: 'event';
  /** Null if the rule does not apply to this event, which is then not counted. */
  readonly holds: (data: Data, context: EventContext) => boolean | null;
}

/** A rule about the row that an event appended to a history. The database checks a whole batch in one statement. */
export type StoredRule = RuleDeclaration & {
  readonly mode: 'scoring';
  readonly history: HistoryDefinition;
} & (
    | {
        readonly check: 'referential';
        /** Properties of the row, in the order of the columns of the entity's key. */
        readonly properties: readonly string[];
        readonly entity: EntityDefinition;
      }
    | {
        readonly check: 'unique';
        /** Properties of the row. No two rows may be equal in all of them. */
        readonly properties: readonly string[];
        /** The row's property that holds when it happened. */
        readonly time: string;
        readonly withinMs: number;
      }
  );

/**
 * A rule about many events: compares the distribution of a window's values over the bins with the distribution before
 * the window.
 */
export interface DistributionRule<Data> extends RuleDeclaration {
  readonly check: 'distribution';
  readonly mode: 'scoring';
  readonly bins: readonly string[];
  /** The bin's number; null if the event has no value. */
  readonly binOf: (data: Data) => number | null;
  /** A population stability index above this is a shift. */
  readonly psiMax: number;
}

export type QualityRule<Data> = EventRule<Data> | StoredRule | DistributionRule<Data>;

/** Optional members of any rule, in addition to what its builder requires. */
interface Wording {
  readonly name?: string;
  readonly dimension?: QualityDimension;
  readonly detail?: string;
}
interface Wish extends Wording {
  /** The default is `scoring`, so that a rule refuses events only if its declaration says so. */
  readonly mode?: RuleDeclaration['mode'];
}

/** A property of a history's rows. */
type RowProperty<Table extends PgTable> = keyof Table['$inferSelect'] & string;

/** The field is neither null, nor absent, nor blank. Completeness. */
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

/**
 * The number is at least `min`, more than `above`, and at most `max`. A missing number is not judged; use `required`
 * for that. Validity.
 */
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

/** The text matches. A missing text is not judged. Validity. */
export function pattern<Field extends string>(
  field: Field,
  expression: RegExp,
  wish: Wish = {},
): EventRule<Readonly<Record<Field, string | null | undefined>>> {
  return defining<EventRule<Readonly<Record<Field, string | null | undefined>>>>({}, () => {
    if (expression.global || expression.sticky)
      throw new DeclarationMistake(
        `The pattern of "${field}" keeps a position between two texts.`,
        'Leave out the flags g and y.',
      );
    return {
      ...declared(wish, field, 'malformed', 'validity', `The field "${field}" does not match its pattern.`),
      check: 'event',
      holds: ({ [field]: value }) => (typeof value === 'string' ? expression.test(value) : null),
    };
  });
}

/**
 * The event arrived soon after it happened. An event older than `historyMs` counts as backfilled history and is not
 * judged. Timeliness.
 */
export function freshness(
  limits: Wish & { readonly maxAgeMs: number; readonly historyMs?: number },
): EventRule<unknown> {
  const { maxAgeMs, historyMs = Number.POSITIVE_INFINITY } = limits;
  const detail = `The event arrived more than ${maxAgeMs / 1_000} s after it happened.`;
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
 * The row that the event appended refers to an existing row of an entity. A null reference is not judged. Consistency.
 *
 * @param property of the row; for a key of several columns, an array in the order of the key's columns.
 * @throws Error if the number of properties differs from the number of key columns.
 */
export function referential<Table extends PgTable>(
  property: RowProperty<Table> | readonly RowProperty<Table>[],
  target: Wording & { readonly history: History<Table>; readonly entity: EntityDefinition },
): StoredRule {
  return defining<StoredRule>({}, () => {
    const { history, entity } = target;
    const properties = typeof property === 'string' ? [property] : property;
    const [first] = properties;
    if (first === undefined || properties.length !== entity.key.columns.length)
      throw new DeclarationMistake(
        `A referential rule names ${properties.length} properties, and the key of "${entity.name}" has ${entity.key.columns.length} columns.`,
        'Name a property for each key column.',
      );
    const detail = `The field "${properties.join(', ')}" names a ${entity.name} that does not exist.`;
    const declaration = declared(target, first, 'unknown', 'consistency', detail);
    return { ...declaration, mode: 'scoring', check: 'referential', history, properties, entity };
  });
}

/**
 * No earlier row of the history is equal in these properties within the period before and after: it finds one fact that
 * was sent under two ids. The later row breaks the rule. The history's table needs an index that begins with one of the
 * properties. Uniqueness.
 */
export function unique<Table extends PgTable>(
  properties: readonly RowProperty<Table>[],
  target: Wording & {
    readonly history: History<Table>;
    readonly withinMs: number;
    /** The row's property that holds when it happened: `occurredAt` by default. */
    readonly time?: RowProperty<Table>;
  },
): StoredRule {
  return defining<StoredRule>({}, () => {
    const { history, withinMs, time = 'occurredAt' } = target;
    const [first] = properties;
    if (first === undefined)
      throw new DeclarationMistake('A unique rule has no properties.', 'Name those that make a row unique.');
    if (!(withinMs > 0 && withinMs <= UNIQUE_WITHIN_MS_MAX))
      throw new DeclarationMistake(
        `A unique rule looks ${withinMs} ms around an event.`,
        `Give it more than 0 and at most ${UNIQUE_WITHIN_MS_MAX} ms.`,
      );
    const detail = `Another event has the same values of ${properties.join(', ')}.`;
    const declaration = declared(target, first, 'not_unique', 'uniqueness', detail);
    return { ...declaration, mode: 'scoring', check: 'unique', history, properties, time, withinMs };
  });
}

/**
 * The distribution of a window's values over the bins equals that of the time before the window. The population
 * stability index decides; see `src/operations/quality/shift.ts`. Consistency.
 *
 * @param spread for a number, the ascending `edges`: bins below the first, between two, and from the last on. For a
 *   text, the `values`, with one more bin for all others.
 */
export function distribution<Field extends string>(
  field: Field,
  spread: Wording & { readonly psiMax?: number } & (
      | { readonly edges: readonly number[] }
      | { readonly values: readonly string[] }
    ),
): DistributionRule<Readonly<Record<Field, unknown>>> {
  return defining<DistributionRule<Readonly<Record<Field, unknown>>>>({}, () => {
    const bins = 'edges' in spread ? binsBetween(spread.edges) : [...spread.values, 'other'];
    if (bins.length < 2 || bins.length > BINS_MAX || new Set(bins).size !== bins.length)
      throw new DeclarationMistake(
        `The bins of the distribution of "${field}" are out of order, repeated, or ${bins.length}.`,
        `Give it 2 to ${BINS_MAX} bins, in order, each once.`,
      );
    const detail = `The distribution of "${field}" differs from the one before.`;
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
  });
}

/** The results of one event for the rules of its type, in the order of the rules. */
export interface Assessment {
  /** For each event rule, whether it holds; null if it was not judged. */
  readonly held: readonly (boolean | null)[];
  /** For each distribution, the bin; null for no value. */
  readonly bins: readonly (number | null)[];
}

/** The rules of an event type, for scoring. */
export interface EventQuality {
  readonly eventRules: readonly RuleDeclaration[];
  readonly storedRules: readonly StoredRule[];
  readonly distributions: readonly (RuleDeclaration &
    Pick<DistributionRule<never>, 'bins' | 'psiMax' | 'check'>)[];
  /** Evaluates all event rules, blocking ones included; null if the data violate the contract. */
  readonly assess: (data: unknown, context: EventContext) => Assessment | null;
  /** The function of each rule that has one, for a caller that watches which fields it reads. */
  readonly functions: readonly RuleFunction[];
}

interface RuleFunction {
  readonly rule: string;
  /** @param parsed what the contract made of an event's data. */
  readonly call: (parsed: unknown, context: EventContext) => unknown;
}

/** @param parse returns the data if they satisfy the contract, else null. */
export function qualityOf<Data>(
  rules: readonly QualityRule<Data>[],
  parse: (data: unknown) => Data | null,
): EventQuality {
  const names = rules.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new DeclarationMistake(`It has the rule "${twice}" twice.`, 'Give one of them another name.');
  if (rules.length > RULES_MAX)
    throw new DeclarationMistake(`It has ${rules.length} rules.`, `Leave all but ${RULES_MAX} out.`);
  const eventRules = rules.filter((rule) => rule.check === 'event');
  const distributions = rules.filter((rule) => rule.check === 'distribution');
  return {
    // Only what `parse` of this type returned is passed to them.
    functions: [
      ...eventRules.map((rule) => ({
        rule: rule.name,
        call: (parsed: unknown, context: EventContext) => rule.holds(parsed as Data, context),
      })),
      ...distributions.map((rule) => ({
        rule: rule.name,
        call: (parsed: unknown) => rule.binOf(parsed as Data),
      })),
    ],
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

/**
 * A scoring rule that throws counts as broken by the event. Otherwise one event would prevent the scoring of its whole
 * batch.
 */
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
