import { type CorsPolicy, PUBLIC_READS_ONLY } from './cors.ts';
import type { EntityDefinition, HistoryDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import type { FeatureDefinition } from './feature.ts';
import type { DerivedFeature } from './feature-derived.ts';
import { DEFAULT_LIMITS, type DeclaredLimits, type Limits } from './limits.ts';
import { mistakeIn } from './mistake.ts';
import type { ModelDefinition } from './model.ts';
import { DEFAULT_OBJECTIVES, type Objective } from './objectives.ts';
import type { RetentionPolicy } from './retention.ts';
import type { ViewDefinition } from './view.ts';

/**
 * Everything that a deployment serves. Routes, cache keys, tags, invalidation, storage and feature folds are derived
 * from it. `composition/` passes it to each phase, so that a test can pass another one.
 */
export interface Catalog {
  readonly entities: readonly EntityDefinition[];
  readonly histories: readonly HistoryDefinition[];
  /** The current version of each event type. */
  readonly events: readonly EventDefinition[];
  /** By CloudEvents `type`, earlier versions included. */
  readonly eventTypes: ReadonlyMap<string, EventDefinition>;
  readonly views: readonly ViewDefinition[];
  readonly features: readonly FeatureDefinition[];
  readonly derived: readonly DerivedFeature[];
  readonly models: readonly ModelDefinition[];
  readonly retention: RetentionPolicy;
  /** How much each sender may use. */
  readonly limits: Limits;
  /** What users are promised. `npm run monitoring` makes alerts of them. */
  readonly objectives: readonly Objective[];
  /** Which pages of other origins may use the API. */
  readonly cors: CorsPolicy;
  /** Examples of the OpenAPI document. */
  readonly examples: AnswerExamples;
  /**
   * Where each definition is declared, e.g. `views.ts, productPage`. Error messages show it. It has also the definitions
   * that cannot be used, which are in no list.
   */
  readonly origins: ReadonlyMap<unknown, string>;
}

/**
 * Answers of a running worker to requests of the catalog's routes, by `operationId` and status: examples of the OpenAPI
 * document. `npm run catalog:examples` records them.
 */
export type AnswerExamples = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Nothing is deleted. */
const KEEP_EVERYTHING: RetentionPolicy = { events: {} };

/** The exports of one file of the catalog. */
export type DeclaredModule = Readonly<Record<string, unknown>>;

/** The definitions of the modules, unchecked. */
export function assemble(
  modules: Readonly<Record<string, DeclaredModule>>,
  retention: RetentionPolicy = KEEP_EVERYTHING,
  limits: DeclaredLimits = {},
  cors: CorsPolicy = PUBLIC_READS_ONLY,
  examples: AnswerExamples = {},
  objectives: readonly Objective[] = DEFAULT_OBJECTIVES,
): Catalog {
  const origins = new Map<unknown, string>();
  for (const [file, module] of Object.entries(modules))
    for (const [name, value] of Object.entries(module))
      if (isDefinition(value) && !origins.has(value)) origins.set(value, `${file}.ts, ${name}`);
  const declared = [...origins.keys()].filter((definition) => mistakeIn(definition) === undefined);
  const ofKind = <Definition extends { kind: string }>(kind: Definition['kind']): Definition[] =>
    declared.filter((value): value is Definition => isKind(value, kind));
  const events = ofKind<EventDefinition>('event');
  const versions = events.flatMap((definition) => [definition, ...definition.earlier]);
  return {
    entities: ofKind<EntityDefinition>('entity'),
    histories: ofKind<HistoryDefinition>('history'),
    events,
    eventTypes: new Map(versions.map((definition) => [definition.type, definition])),
    views: ofKind<ViewDefinition>('view'),
    features: ofKind<FeatureDefinition>('feature'),
    derived: ofKind<DerivedFeature>('derived-feature'),
    models: ofKind<ModelDefinition>('model'),
    retention,
    limits: { ...DEFAULT_LIMITS, ...limits },
    objectives,
    cors,
    examples,
    origins,
  };
}

function isDefinition(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}

function isKind(value: unknown, kind: string): boolean {
  return isDefinition(value) && value.kind === kind;
}
