import * as z from 'zod';
import { type EntityDefinition, type HistoryDefinition, tagsOfAppend } from './entity.ts';
import { type EventQuality, type QualityRule, qualityOf } from './quality.ts';

/** The longest tag: it names an entity and a key, both bounded by their schemas. */
export type StoredValue = string | number | boolean | null;
export type StoredRow = Readonly<Record<string, StoredValue>>;

/** What storing one event does to the tables, beside the event itself. */
export type Effect =
  | { readonly kind: 'append'; readonly history: HistoryDefinition; readonly row: StoredRow }
  /** Inserts the row unless one with its key is there: events may mention what nobody has described yet. */
  | { readonly kind: 'ensure'; readonly entity: EntityDefinition; readonly row: StoredRow };

export interface EventContext {
  /** When it happened, milliseconds since the Unix epoch. */
  readonly occurredAt: number;
  /** When it is judged, milliseconds since the Unix epoch. */
  readonly now: number;
}

/** What a valid event means: nothing here touches a database. */
export interface Interpretation {
  readonly effects: readonly Effect[];
  readonly tags: readonly string[];
}

export type Verdict =
  | ({ readonly ok: true } & Interpretation)
  | {
      readonly ok: false;
      readonly code: 'contract_violation' | 'quality_violation';
      /** `contract_violation`, or the name of the broken rule. */
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
    };

export interface EventDefinition<Data = unknown> {
  readonly kind: 'event';
  /** The CloudEvents `type`, with its version: `shop.purchase.v1`. */
  readonly type: string;
  readonly version: number;
  readonly description: string;
  /** When a producer is told that its event is taken: once the queue has it, or once it is stored. */
  readonly acknowledged: 'queued' | 'stored';
  readonly jsonSchema: () => unknown;
  /** The data if it keeps the contract, else `null`. */
  readonly parse: (data: unknown) => Data | null;
  readonly interpret: (data: unknown, context: EventContext) => Verdict;
  /** Its rules, blocking and scoring, for whoever scores what was stored and what was refused. */
  readonly quality: EventQuality;
}

/** Declares an event type: contract, quality rules and how it is stored; its tags follow from the storage. */
export function event<Schema extends z.ZodType>(declaration: {
  type: string;
  version: number;
  description: string;
  data: Schema;
  rules?: readonly QualityRule<z.output<Schema>>[];
  acknowledged?: 'queued' | 'stored';
  stores: (data: z.output<Schema>, context: EventContext) => readonly Effect[];
}): EventDefinition<z.output<Schema>> {
  const { data: schema, rules = [] } = declaration;
  const type = `${declaration.type}.v${declaration.version}`;
  const blocking = rules.filter((rule) => rule.check === 'event').filter(({ mode }) => mode === 'blocking');
  const parse = (data: unknown) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? parsed.data : null;
  };
  return {
    kind: 'event',
    type,
    version: declaration.version,
    description: declaration.description,
    acknowledged: declaration.acknowledged ?? 'queued',
    jsonSchema: () => z.toJSONSchema(schema, { io: 'input' }),
    parse,
    quality: qualityOf(type, rules, parse),
    interpret: (data, context) => {
      const parsed = schema.safeParse(data);
      if (!parsed.success) return contractViolation(parsed.error);
      const broken = blocking.find((rule) => rule.holds(parsed.data, context) === false);
      if (broken !== undefined) {
        const { name: reason, pointer, detail } = broken;
        return { ok: false, code: 'quality_violation', reason, pointer, detail };
      }
      const effects = declaration.stores(parsed.data, context);
      return { ok: true, effects, tags: tagsOf(effects) };
    },
  };
}

/** Stores a row of a history. */
export function append(definition: HistoryDefinition, row: StoredRow): Effect {
  return { kind: 'append', history: definition, row };
}

/** Inserts an entity's row unless its key is there already. */
export function ensure(definition: EntityDefinition, row: StoredRow): Effect {
  return { kind: 'ensure', entity: definition, row };
}

/** Tags of what is certain beforehand. What `ensure` inserts is known to the database alone, which tags it there. */
function tagsOf(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) =>
    effect.kind === 'append' ? tagsOfAppend(effect.history, effect.row) : [],
  );
}

function contractViolation(error: z.ZodError): Verdict {
  const issue = error.issues[0];
  const path = ['data', ...(issue?.path ?? [])].map((step) => `/${String(step)}`).join('');
  return {
    ok: false,
    code: 'contract_violation',
    reason: 'contract_violation',
    pointer: path,
    detail: issue?.message ?? 'The data does not keep the contract of its type.',
  };
}
