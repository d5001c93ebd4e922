/** How it is learned whether the answers of a model were right: a share is logged, and later events are their labels. */
import * as z from 'zod';
import type { EntityDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import { type Declaration, define, type EventValue, type FeatureDefinition } from './feature-definition.ts';
import { type Span, spanMs } from './feature-window.ts';
import { DeclarationMistake } from './mistake.ts';

const MINUTE_MS = 60_000;
/** Trials wait in one object until their windows have ended. */
const WITHIN_MS_MAX = 90 * 86_400_000;

/** A part of a ranking's answers that has its items in random order, so that lower positions are seen as well. */
const Exploration = z.strictObject({
  /** The share of the answers, 0 to 1. */
  share: z.number().min(0).max(0.5),
  /** The best items of which an explored answer has some, each with the same probability, in random order. */
  pool: z.int().min(2).max(200).default(20),
});
export type Exploration = Readonly<z.output<typeof Exploration>>;
export type DeclaredExploration = z.input<typeof Exploration>;

const Settings = z.strictObject({
  /** The share of the answers that are logged, 0 to 1. */
  share: z.number().gt(0).max(1).default(1),
  /** How late an event may be stored and still count, in minutes. */
  lateMinutes: z.int().min(0).max(10_080).default(60),
});

/** A prediction as the log has it: the properties of its outputs. */
export type LoggedAnswer = Readonly<Record<string, unknown>>;

/** What of an answer an event is compared with: the items of a ranking, or the outputs of a prediction. */
export type FeedbackOf = 'items' | 'answers';

interface Compared<Owner extends EntityDefinition, Of extends FeedbackOf> {
  readonly of: Of;
  readonly entity: Owner;
  /** What a label event says of which entity: the item, or a value. It is no feature: no shard folds it. */
  readonly label: FeatureDefinition;
  /** Whether a value of an event is a hit of an answer; not used for items. */
  readonly hits: (value: EventValue, answer: LoggedAnswer) => boolean;
}

/** Feedback whose settings are all known and within their ranges. */
export interface FeedbackDefinition<
  Owner extends EntityDefinition = EntityDefinition,
  Of extends FeedbackOf = FeedbackOf,
> extends Compared<Owner, Of> {
  /** How long after the answer an event counts, in milliseconds. */
  readonly withinMs: number;
  readonly lateMs: number;
  readonly share: number;
}

/** Feedback as a model declares it; what is left out has defaults. */
export interface DeclaredFeedback<
  Owner extends EntityDefinition = EntityDefinition,
  Of extends FeedbackOf = FeedbackOf,
> extends Compared<Owner, Of> {
  readonly within: string;
  readonly settings: Readonly<z.input<typeof Settings>>;
}

interface CommonDeclaration<Data, Owner extends EntityDefinition>
  extends Pick<Declaration<Data, Owner>, 'key' | 'version'>,
    z.input<typeof Settings> {
  entity: Owner;
  event: EventDefinition<Data>;
  /** How long after the answer an event counts, such as `7d`. */
  within: Span;
}

/** Declares which events are labels of a model's answers. */
export const feedback = {
  /** Of a ranking: an event that names one of the answer's items is a hit. */
  ofItems: <Data, Owner extends EntityDefinition>(
    declaration: CommonDeclaration<Data, Owner> & {
      /** The key of the item, as the canonical text of its entity has it; null for an event without one. */
      item: (data: Data) => string | null;
    },
  ): DeclaredFeedback<Owner, 'items'> => ({
    ...common(declaration, declaration.item),
    of: 'items',
    hits: () => false,
  }),

  /** Of a regression or a classification: the next event is a hit if its value agrees with the answer. */
  ofAnswers: <Data, Owner extends EntityDefinition, Value extends EventValue>(
    declaration: CommonDeclaration<Data, Owner> & {
      value: (data: Data) => Value;
      hits: (value: Value, answer: LoggedAnswer) => boolean;
    },
  ): DeclaredFeedback<Owner, 'answers'> => ({
    ...common(declaration, declaration.value),
    of: 'answers',
    // `label` takes its values from `value` alone.
    hits: (value, answer) => declaration.hits(value as Value, answer),
  }),
};

/** @throws DeclarationMistake for a setting that is unknown or out of its range. */
export function explorationOf(declared: DeclaredExploration): Exploration {
  return parsed(Exploration, declared, 'exploration');
}

/** @throws DeclarationMistake for a setting that is unknown or out of its range. */
export function feedbackOf({ within, settings, ...compared }: DeclaredFeedback): FeedbackDefinition {
  const { share, lateMinutes } = parsed(Settings, settings, 'feedback');
  const withinMs = spanMs(within);
  if (withinMs === undefined || withinMs > WITHIN_MS_MAX)
    throw new DeclarationMistake(
      `An event counts within "${within}".`,
      'Give a length of time such as 30s, 30m, 24h or 7d, at most 90d.',
    );
  return { ...compared, withinMs, lateMs: lateMinutes * MINUTE_MS, share };
}

function common<Data, Owner extends EntityDefinition>(
  { entity, event, key, version, within, share, lateMinutes }: CommonDeclaration<Data, Owner>,
  value: (data: Data) => EventValue,
) {
  const named = { name: 'label', entity, event, key };
  return {
    ...{ entity, within },
    label: define(version === undefined ? named : { ...named, version }, { aggregate: 'last_value', value }),
    settings: {
      ...(share === undefined ? {} : { share }),
      ...(lateMinutes === undefined ? {} : { lateMinutes }),
    },
  };
}

function parsed<Schema extends z.ZodType>(schema: Schema, declared: unknown, of: string): z.output<Schema> {
  const { success, data, error } = schema.safeParse(declared);
  if (success) return data;
  const [issue] = error.issues;
  throw new DeclarationMistake(
    `The setting "${issue?.path.join('.') ?? ''}" of \`${of}\` is wrong: ${issue?.message ?? 'invalid'}.`,
    'docs/models.md lists the settings with their ranges.',
  );
}
