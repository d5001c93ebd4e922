import type { EntityDefinition, HistoryDefinition } from './define/entity.ts';
import type { EventDefinition } from './define/event.ts';
import type { FeatureDefinition } from './define/feature.ts';
import type { ModelDefinition } from './define/model.ts';
import type { ViewDefinition } from './define/view.ts';
import * as entities from './entities.ts';
import * as events from './events.ts';
import * as features from './features.ts';
import * as models from './models.ts';
import * as views from './views.ts';

/**
 * What this deployment serves: everything that the files of this folder export. Routes, cache keys, tags,
 * invalidation, storage and feature folds follow from it.
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
}

export const catalog: Catalog = assemble();

function assemble(): Catalog {
  const declared: readonly unknown[] = [entities, events, views, features, models].flatMap((file) =>
    Object.values(file),
  );
  const ofKind = <Definition extends { kind: string }>(kind: Definition['kind']): Definition[] =>
    declared.filter((value): value is Definition => isKind(value, kind));
  const eventDefinitions = ofKind<EventDefinition>('event');
  const eventVersions = eventDefinitions.flatMap((definition) => [definition, ...definition.earlier]);
  const assembled: Catalog = {
    entities: ofKind<EntityDefinition>('entity'),
    histories: ofKind<HistoryDefinition>('history'),
    events: eventDefinitions,
    eventTypes: new Map(eventVersions.map((definition) => [definition.type, definition])),
    views: ofKind<ViewDefinition>('view'),
    features: ofKind<FeatureDefinition>('feature'),
    models: ofKind<ModelDefinition>('model'),
  };
  assertUnique(
    'entity',
    assembled.entities.map(({ name }) => name),
  );
  assertUnique(
    'history',
    assembled.histories.map(({ name }) => name),
  );
  assertUnique(
    'event type',
    eventDefinitions.map(({ name }) => name),
  );
  assertUnique(
    'view',
    assembled.views.map(({ name }) => name),
  );
  assertUnique(
    'path',
    assembled.views.map(({ path }) => path),
  );
  assertUnique(
    'feature',
    assembled.features.map(({ entity, name }) => `${entity.name}.${name}`),
  );
  assertUnique(
    'model',
    assembled.models.map(({ name }) => name),
  );
  return assembled;
}

function isKind(value: unknown, kind: string): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

function assertUnique(what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`The catalog declares the ${what} "${twice}" twice.`);
}
