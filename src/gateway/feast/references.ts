import type { Catalog } from '../../define/catalog.ts';
import type { EntityDefinition } from '../../define/entity.ts';
import { readNames } from '../../define/feature.ts';
import type { DerivedFeature } from '../../define/feature-derived.ts';
import { referencesOf } from '../../define/model.ts';
import { isVersioned, parseVersioned } from '../../features/old-versions.ts';
import { unknownVersion } from '../../features/version-reads.ts';
import { Failure } from '../../platform/failure.ts';

/** The most features of one request, as `POST /v1/features/read` takes. */
export const FEATURES_MAX = 100;

/** The members of a request of Feast's client that name features. */
export interface FeatureRequest {
  readonly features: readonly string[];
  readonly feature_service?: string | null | undefined;
  readonly full_feature_names: boolean;
}

/** A feature that a request asks for. */
export interface WantedFeature {
  readonly entity: EntityDefinition;
  /** Its read name, which may name a version. */
  readonly name: string;
  /** Its name in the answer: `purchases_30d`, or `customer__purchases_30d`. */
  readonly shownAs: string;
  /** Its declaration, if it is derived. */
  readonly derived: DerivedFeature | undefined;
}

/**
 * The features of a request of Feast's client. An entity is a feature view: `customer:purchases_30d`. A model is a feature
 * service of the features that it reads, and an entity is one of all its features that need no field of the request.
 *
 * @throws Failure `unknown_entity`, `unknown_feature`, `unknown_feature_version`; `invalid_request` for no features, too many, or two of one name.
 */
export function wantedFeatures(catalog: Catalog, request: FeatureRequest): WantedFeature[] {
  const service = request.feature_service ?? '';
  const pairs = service === '' ? pairsOf(request.features) : ofService(catalog, service);
  if (pairs.length === 0 || pairs.length > FEATURES_MAX)
    throw new Failure('invalid_request', `Name 1 to ${FEATURES_MAX} features, not ${pairs.length}.`, {
      pointer: '/features',
    });
  const shown = new Set<string>();
  return pairs.map(([view, name], index) => {
    const pointer = service === '' ? `/features/${index}` : '/feature_service';
    const wanted = wantedFeature(catalog, { view, name, pointer, isFull: request.full_feature_names });
    if (shown.has(wanted.shownAs))
      throw new Failure(
        'invalid_request',
        `Two features have the name "${wanted.shownAs}". Name each once, or ask for full_feature_names.`,
        { pointer },
      );
    shown.add(wanted.shownAs);
    return wanted;
  });
}

type Pair = readonly [view: string, feature: string];

function pairsOf(features: readonly string[]): Pair[] {
  return features.map((text, index) => {
    const at = text.indexOf(':');
    if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
    throw new Failure('invalid_request', 'Expected <entity>:<feature>.', { pointer: `/features/${index}` });
  });
}

function ofService({ models, features, derived }: Catalog, service: string): Pair[] {
  const model = models.find(({ name }) => name === service);
  if (model !== undefined) {
    const names = new Set(referencesOf(model).map(({ readName }) => readName));
    return [...names].map((name) => [model.entity.name, name]);
  }
  const stored = features.filter(({ entity }) => entity.name === service).flatMap(readNames);
  const free = derived.filter(
    ({ entity, request }) => entity.name === service && Object.keys(request.shape).length === 0,
  );
  if (stored.length === 0)
    throw new Failure('unknown_entity', `"${service}" is no model, and no entity with features.`, {
      pointer: '/feature_service',
    });
  return [...stored, ...free.map(({ name }) => name)].map((name) => [service, name]);
}

function wantedFeature(
  { features, derived }: Catalog,
  asked: { readonly view: string; readonly name: string; readonly pointer: string; readonly isFull: boolean },
): WantedFeature {
  const { view, name, pointer, isFull } = asked;
  const stored = features.filter(({ entity }) => entity.name === view);
  const computed = derived.filter(({ entity }) => entity.name === view);
  const [first] = stored;
  if (first === undefined)
    throw new Failure('unknown_entity', `The catalog declares no features of "${view}".`, { pointer });
  const definition = computed.find((one) => one.name === name);
  const shownAs = isFull ? `${view}__${name}` : name;
  if (isVersioned(name)) {
    if (parseVersioned(name) === undefined) throw unknownVersion(name, pointer);
    return { entity: first.entity, name, shownAs, derived: undefined };
  }
  const names = [...stored.flatMap(readNames), ...computed.map((one) => one.name)];
  if (!names.includes(name))
    throw new Failure('unknown_feature', `"${view}" has the features ${names.join(', ')}.`, { pointer });
  return { entity: first.entity, name, shownAs, derived: definition };
}
