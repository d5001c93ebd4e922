import type { EntityDefinition, HistoryDefinition } from './entity.ts';
import type { EventDefinition } from './event.ts';
import type { FeatureDefinition } from './feature.ts';
import type { ModelDefinition } from './model.ts';
import { modelProblems } from './model-problems.ts';
import type { RetentionPolicy } from './retention.ts';
import type { ViewDefinition } from './view.ts';

/**
 * Everything that a deployment serves. Routes, cache keys, tags, invalidation, storage and feature folds follow
 * from it. `composition/` hands it to each phase, so that a test can hand it another.
 */
export interface Catalog {
  readonly entities: readonly EntityDefinition[];
  readonly histories: readonly HistoryDefinition[];
  /** In their current versions. */
  readonly events: readonly EventDefinition[];
  /** By CloudEvents `type`, earlier versions included. */
  readonly eventTypes: ReadonlyMap<string, EventDefinition>;
  readonly views: readonly ViewDefinition[];
  readonly features: readonly FeatureDefinition[];
  readonly models: readonly ModelDefinition[];
  readonly retention: RetentionPolicy;
}

/** Nothing is deleted. */
const KEEP_EVERYTHING: RetentionPolicy = { events: {} };

/**
 * Assembles the catalog from the modules that declare it, e.g. `[entities, events, views]` with
 * `import * as entities from './entities.ts'`. A definition is found by its `kind`; every other export is ignored.
 *
 * @throws Error where two definitions of one kind have the same name, or a model is declared wrongly.
 */
export function defineCatalog(
  modules: readonly Readonly<Record<string, unknown>>[],
  { retention = KEEP_EVERYTHING }: { readonly retention?: RetentionPolicy } = {},
): Catalog {
  const declared = [...new Set(modules.flatMap((module) => Object.values(module)))];
  const ofKind = <Definition extends { kind: string }>(kind: Definition['kind']): Definition[] =>
    declared.filter((value): value is Definition => isKind(value, kind));
  const events = ofKind<EventDefinition>('event');
  const versions = events.flatMap((definition) => [definition, ...definition.earlier]);
  const catalog: Catalog = {
    entities: ofKind<EntityDefinition>('entity'),
    histories: ofKind<HistoryDefinition>('history'),
    events,
    eventTypes: new Map(versions.map((definition) => [definition.type, definition])),
    views: ofKind<ViewDefinition>('view'),
    features: ofKind<FeatureDefinition>('feature'),
    models: ofKind<ModelDefinition>('model'),
    retention,
  };
  const { entities, histories, views, features, models } = catalog;
  assertUnique('entity', entities, ({ name }) => name);
  assertUnique('history', histories, ({ name }) => name);
  assertUnique('event type', events, ({ name }) => name);
  assertUnique('view', views, ({ name }) => name);
  assertUnique('path', views, ({ path }) => path);
  assertUnique('feature', features, ({ entity, name }) => `${entity.name}.${name}`);
  assertUnique('model', models, ({ name }) => name);
  const [problem] = modelProblems(models, features);
  if (problem !== undefined)
    throw new Error(`The catalog's ${problem.declaration}: ${problem.problem} ${problem.remedy}`);
  return catalog;
}

function isKind(value: unknown, kind: string): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

function assertUnique<Definition>(
  what: string,
  definitions: readonly Definition[],
  nameOf: (definition: Definition) => string,
): void {
  const names = definitions.map(nameOf);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`The catalog declares the ${what} "${twice}" twice.`);
}
