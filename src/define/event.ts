import type { PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import {
  type Entity,
  type EntityDefinition,
  type History,
  type HistoryDefinition,
  type InsertOf,
  tagsOfAppend,
} from './entity.ts';
import type { EventContext } from './event-context.ts';
import { type EventQuality, type QualityRule, qualityOf } from './quality.ts';
import type { Tag } from './tag.ts';
import {
  asUpcastFailure,
  checkedDeprecation,
  type Deprecation,
  type EarlierVersion,
  type Upcast,
  upcastsOf,
  versionNumber,
  violationOf,
} from './version.ts';

export type { EventContext } from './event-context.ts';

/** A row by property of its drizzle table. Values are as drizzle has them, and as JSON can hold them. */
export type StoredRow = Readonly<Record<string, unknown>>;

/** What storing one event does to the tables, beside the event itself. */
export type Effect =
  | { readonly kind: 'append'; readonly history: HistoryDefinition; readonly row: StoredRow }
  /** Inserts the row unless one with its key is there: events may mention what nobody has described yet. */
  | { readonly kind: 'ensure'; readonly entity: EntityDefinition; readonly row: StoredRow };

/** What a valid event means: nothing here touches a database. */
export interface Interpretation {
  readonly effects: readonly Effect[];
  readonly tags: readonly Tag[];
}

export type Verdict =
  | ({ readonly ok: true } & Interpretation)
  | {
      readonly ok: false;
      readonly code: 'contract_violation' | 'quality_violation';
      /** `contract_violation`, `upcast_failed`, or the name of the broken rule. */
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
    };

/**
 * One version of an event type. An earlier one judges and means by the current one: `parse` and `interpret` take
 * data of its own version, upcast it, and say what the current version says of that.
 */
export interface EventDefinition<Data = unknown> {
  readonly kind: 'event';
  /** Without the version: `shop.purchase`. */
  readonly name: string;
  /** The CloudEvents `type`, with its version: `shop.purchase.v1`. */
  readonly type: string;
  readonly version: number;
  /** The type under which events of this version are stored: its own for the current version. */
  readonly currentType: string;
  /** Newest first; none for an earlier version itself. */
  readonly earlier: readonly EventDefinition<Data>[];
  readonly deprecated: Deprecation | undefined;
  readonly example: unknown;
  /** Of its blocking rules: what its events are refused for beside the contract. */
  readonly ruleNames: readonly string[];
  readonly description: string;
  /** When a producer is told that its event is taken: once the queue has it, or once it is stored. */
  readonly acknowledged: 'queued' | 'stored';
  readonly jsonSchema: () => unknown;
  /** Data of this version in the form of the current one. Of the current version itself: as it is, unchecked. */
  readonly toCurrent: (data: unknown) => Upcast;
  /** The data if it keeps the contract, else `null`. */
  readonly parse: (data: unknown) => Data | null;
  readonly interpret: (data: unknown, context: EventContext) => Verdict;
  /** Its rules, blocking and scoring, for whoever scores what was stored and what was refused. */
  readonly quality: EventQuality;
}

/**
 * Declares an event type: contract, quality rules and how it is stored; its tags follow from the storage.
 * Rules and storage are those of the current version; earlier ones are upcast to it.
 */
export function event<Schema extends z.ZodType>(declaration: {
  type: string;
  version: number;
  description: string;
  data: Schema;
  rules?: readonly QualityRule<z.output<Schema>>[];
  acknowledged?: 'queued' | 'stored';
  /** Data that keeps the contract and breaks no rule: `/v1/events/types` shows it in an event that can be sent. */
  example?: z.input<Schema>;
  deprecated?: Deprecation;
  /** The version before this one, and through it those before that. */
  earlier?: EarlierVersion<z.input<Schema>>;
  stores: (data: z.output<Schema>, context: EventContext) => readonly Effect[];
}): EventDefinition<z.output<Schema>> {
  const { data: schema, rules = [] } = declaration;
  const type = `${declaration.type}.v${versionNumber(declaration.version, declaration.earlier)}`;
  const blocking = rules.filter((rule) => rule.check === 'event').filter(({ mode }) => mode === 'blocking');
  const parse = (data: unknown) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? parsed.data : null;
  };
  const current: EventDefinition<z.output<Schema>> = {
    kind: 'event',
    name: declaration.type,
    type,
    version: declaration.version,
    currentType: type,
    earlier: [],
    deprecated: checkedDeprecation(declaration.deprecated),
    example: declaration.example,
    ruleNames: blocking.map(({ name }) => name),
    description: declaration.description,
    acknowledged: declaration.acknowledged ?? 'queued',
    jsonSchema: () => z.toJSONSchema(schema, { io: 'input' }),
    toCurrent: (data) => ({ ok: true, data }),
    parse,
    quality: qualityOf(type, rules, parse),
    interpret: (data, context) => {
      const parsed = schema.safeParse(data);
      if (!parsed.success) return { ...violationOf(parsed.error), reason: 'contract_violation' };
      const broken = blocking.find((rule) => rule.holds(parsed.data, context) === false);
      if (broken !== undefined) {
        const { name: reason, pointer, detail } = broken;
        return { ok: false, code: 'quality_violation', reason, pointer, detail };
      }
      const effects = declaration.stores(parsed.data, context);
      return { ok: true, effects, tags: tagsOf(effects) };
    },
  };
  return { ...current, earlier: earlierDefinitions(current, schema, declaration.earlier) };
}

/** The earlier versions as definitions of their own: they upcast, and leave the rest to the current one. */
function earlierDefinitions<Data>(
  current: EventDefinition<Data>,
  schema: z.ZodType,
  earlier: EarlierVersion<unknown> | undefined,
): EventDefinition<Data>[] {
  return upcastsOf(earlier).map(({ version: { version, deprecated, example, jsonSchema }, toCurrent }) => {
    const checked = (data: unknown): Upcast => {
      const upcast = toCurrent(data);
      if (!upcast.ok) return upcast;
      const parsed = schema.safeParse(upcast.data);
      if (parsed.success) return upcast;
      return asUpcastFailure({ ...violationOf(parsed.error), reason: 'contract_violation' });
    };
    return {
      ...current,
      type: `${current.name}.v${version}`,
      version,
      deprecated,
      example,
      jsonSchema,
      toCurrent: checked,
      parse: (data) => {
        const upcast = checked(data);
        return upcast.ok ? current.parse(upcast.data) : null;
      },
      interpret: (data, context) => {
        const upcast = checked(data);
        return upcast.ok ? current.interpret(upcast.data, context) : upcast;
      },
      quality: {
        ...current.quality,
        assess: (data, context) => {
          const upcast = checked(data);
          return upcast.ok ? current.quality.assess(upcast.data, context) : null;
        },
      },
    };
  });
}

/** Stores a row of a history. Its `eventSeq` is the number of the event, which the database gives. */
export function append<Table extends PgTable>(
  definition: History<Table>,
  row: Omit<InsertOf<Table>, 'eventSeq'>,
): Effect {
  return { kind: 'append', history: definition, row };
}

/** Inserts an entity's row unless its key is there already. */
export function ensure<Table extends PgTable>(definition: Entity<Table>, row: InsertOf<Table>): Effect {
  return { kind: 'ensure', entity: definition, row };
}

/** Tags of what is certain beforehand. What `ensure` inserts is known to the database alone, which tags it there. */
function tagsOf(effects: readonly Effect[]): Tag[] {
  return effects.flatMap((effect) =>
    effect.kind === 'append' ? tagsOfAppend(effect.history, effect.row) : [],
  );
}
