import * as z from 'zod';
import { checkLines, type Effect, tagsOfEffects } from './effect.ts';
import type { EventContext } from './event-context.ts';
import { defining } from './mistake.ts';
import { type EventQuality, type QualityRule, qualityOf } from './quality.ts';
import { type UnstorableValue, unstorableValue } from './storable.ts';
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

export { append, type Effect, ensure, increment, remove, set, upsert } from './effect.ts';
export type { EventContext } from './event-context.ts';

/** The effects and tags of a valid event. This module does not access a database. */
export interface Interpretation {
  readonly effects: readonly Effect[];
  readonly tags: readonly Tag[];
}

export type Verdict =
  | ({ readonly ok: true } & Interpretation)
  | {
      readonly ok: false;
      readonly code: 'contract_violation' | 'quality_violation';
      /** `contract_violation`, `upcast_failed`, `stores_failed`, `not_storable`, or the name of the broken rule. */
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
    };

/**
 * One version of an event type. An earlier version delegates to the current one: its `parse` and `interpret` take data
 * of their own version, upcast it, and return the result of the current version.
 */
export interface EventDefinition<Data = unknown> {
  readonly kind: 'event';
  /** Without the version: `bikes.ride`. */
  readonly name: string;
  /** The CloudEvents `type`, with its version: `bikes.ride.v1`. */
  readonly type: string;
  readonly version: number;
  /** The type under which events of this version are stored: its own for the current version. */
  readonly currentType: string;
  /** Newest first; empty for an earlier version itself. */
  readonly earlier: readonly EventDefinition<Data>[];
  readonly deprecated: Deprecation | undefined;
  readonly example: unknown;
  /** The names of its blocking rules: the reasons, in addition to the contract, for which its events are refused. */
  readonly ruleNames: readonly string[];
  readonly description: string;
  /** When Millrace acknowledges its events to the producer: once the queue has the event, or once it is stored. */
  readonly acknowledged: 'queued' | 'stored';
  readonly jsonSchema: () => unknown;
  /** Upcasts data of this version to the current one. The current version returns the data unchanged and unchecked. */
  readonly toCurrent: (data: unknown) => Upcast;
  /** The data if it satisfies the contract, else `null`. */
  readonly parse: (data: unknown) => Data | null;
  readonly interpret: (data: unknown, context: EventContext) => Verdict;
  /** Its rules, blocking and scoring, for the scoring of stored and refused events. */
  readonly quality: EventQuality;
}

/**
 * Declares an event type: its contract, its quality rules and its storage. Tags are derived from the storage. Rules and
 * storage belong to the current version; earlier versions are upcast to it.
 */
export function event<Schema extends z.ZodType>(declaration: {
  type: string;
  version: number;
  description: string;
  data: Schema;
  rules?: readonly QualityRule<z.output<Schema>>[];
  acknowledged?: 'queued' | 'stored';
  /** Data that satisfies the contract and all rules. `/v1/events/types` shows it in an event that can be sent. */
  example?: z.input<Schema>;
  deprecated?: Deprecation;
  /** The version before this one, which links to the versions before it. */
  earlier?: EarlierVersion<z.input<Schema>>;
  stores: (data: z.output<Schema>, context: EventContext) => readonly Effect[];
}): EventDefinition<z.output<Schema>> {
  return defining<EventDefinition<z.output<Schema>>>({ kind: 'event', name: declaration.type }, () => {
    const { data: schema, rules = [] } = declaration;
    const type = `${declaration.type}.v${versionNumber(declaration.version, declaration.earlier)}`;
    const blocking = rules.filter((rule) => rule.check === 'event').filter(({ mode }) => mode === 'blocking');
    const check = checkingOnce(schema);
    const parse = (data: unknown) => {
      const parsed = check(data);
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
      quality: qualityOf(rules, parse),
      interpret: (data, context) => {
        const parsed = check(data);
        if (!parsed.success) return { ...violationOf(parsed.error), reason: 'contract_violation' };
        const broken = blocking.find((rule) => rule.holds(parsed.data, context) === false);
        if (broken !== undefined) {
          const { name: reason, pointer, detail } = broken;
          return { ok: false, code: 'quality_violation', reason, pointer, detail };
        }
        try {
          const effects = declaration.stores(parsed.data, context);
          checkLines(effects);
          const unstorable = unstorableValue(effects);
          if (unstorable !== undefined) return notStorable(data, unstorable);
          return { ok: true, effects, tags: tagsOfEffects(effects) };
        } catch (error) {
          return storesFailure(error);
        }
      },
    };
    return { ...current, earlier: earlierDefinitions(current, schema, declaration.earlier) };
  });
}

/**
 * The event triggers a defect in `stores`. A retry would fail every time and block the events behind it, so the event
 * is quarantined until the defect is fixed.
 */
function storesFailure(error: unknown): Verdict {
  const cause = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const detail = `The event keeps its contract, but the function \`stores\` of its type failed (${cause}). Correct the catalog, then release the event.`;
  return { ok: false, code: 'contract_violation', reason: 'stores_failed', pointer: '/data', detail };
}

/** The pointer names a member of the data, if they have one of the column's name. */
function notStorable(data: unknown, { property, detail }: UnstorableValue): Verdict {
  const isNamed = typeof data === 'object' && data !== null && Object.hasOwn(data, property);
  const pointer = isNamed ? `/data/${property}` : '/data';
  return { ok: false, code: 'contract_violation', reason: 'not_storable', pointer, detail };
}

/**
 * Validates data by a schema, once for each object, and caches the result for all phases that one process runs on the
 * event: acceptance, storing, scoring and folding. No caller may modify the data or the parsed result.
 */
function checkingOnce<Schema extends z.ZodType>(schema: Schema) {
  const known = new WeakMap<object, z.ZodSafeParseResult<z.output<Schema>>>();
  return (data: unknown): z.ZodSafeParseResult<z.output<Schema>> => {
    if (typeof data !== 'object' || data === null) return schema.safeParse(data);
    const before = known.get(data);
    if (before !== undefined) return before;
    const checked = schema.safeParse(data);
    known.set(data, checked);
    return checked;
  };
}

/** The earlier versions as definitions: each upcasts its data and delegates to the current version. */
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
