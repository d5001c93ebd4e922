import type { FeatureDefinition } from '../define/feature.ts';
import { sha256HexNow } from '../platform/digest.ts';

/**
 * Features that the same events change are a group: those of one event type with the same `key` function. A fold
 * invalidates the groups of a key that its events count in, and an answer depends on the groups of the features that it is
 * made of. So an event drops no answer that uses none of the features that it counts in.
 */

/** Hexadecimal digits of the digest of a `key` function. Two functions with the same digits are one group, which is safe. */
const KEY_DIGITS = 8;
/** The most features that an answer names one by one. An answer of more depends on all of its entity becoming ready. */
const READY_TAGS_MAX = 32;

const groups = new WeakMap<FeatureDefinition, string>();

/**
 * The group of a feature: `purchase#1f2e3d4c`. It only changes together with the feature's digest: `versionOf` leaves out
 * the version of the event type, too, and a feature with a declared version has no `keyCode`. So if a release moves a
 * feature to another group, the feature is built anew, and the answers of the release before are dropped when it is ready.
 */
export function groupOf(definition: FeatureDefinition): string {
  const known = groups.get(definition);
  if (known !== undefined) return known;
  const { eventType, keyCode } = definition;
  const type = eventType.replace(/\.v\d+$/, '');
  const group = keyCode === '' ? type : `${type}#${sha256HexNow(keyCode).slice(0, KEY_DIGITS)}`;
  groups.set(definition, group);
  return group;
}

/**
 * The text that names a group of features of one key where a key's own text names all of its features. If a key has the
 * same text, both have one tag, and are invalidated together.
 */
export function partOf(group: string, key: string): string {
  return `${group}:${key}`;
}

/**
 * The tag of a part of a key, or of a key: `features:customer:purchase#1f2e3d4c:17850`, `features:customer:17850`. A fold
 * invalidates the parts that it changes. A rebuild, an erasure and a purge invalidate the key, on which all answers of
 * its features depend.
 */
export function featureTag(entity: string, keyOrPart: string): string {
  return `features:${entity}:${keyOrPart}`;
}

/**
 * The tag of every answer that depends on a feature of an entity becoming ready. Without a feature, of every answer that
 * depends on any of them; it is invalidated together with that of each feature.
 */
export function readyTag(entity: string, feature?: string): string {
  return feature === undefined ? `features-ready:${entity}` : `features-ready:${entity}:${feature}`;
}

/** What has to be invalidated when features of an entity have become ready. */
export function readyTags(entity: string, features: readonly string[]): string[] {
  return [readyTag(entity), ...features.map((name) => readyTag(entity, name))];
}

/** The same for features of several entities. */
export function readyTagsOf(features: readonly FeatureDefinition[]): string[] {
  const byEntity = Map.groupBy(features, ({ entity }) => entity.name);
  return [...byEntity].flatMap(([entity, own]) =>
    readyTags(
      entity,
      own.map(({ name }) => name),
    ),
  );
}

/** The groups of some features, each once. */
export function groupsOf(features: readonly FeatureDefinition[]): string[] {
  return [...new Set(features.map(groupOf))];
}

/** The tags of a key and of its parts in these groups. */
export function tagsIn(entity: string, key: string, groups: readonly string[]): string[] {
  return [featureTag(entity, key), ...groups.map((group) => featureTag(entity, partOf(group, key)))];
}

/** The tags of the parts of a key that these features are in, and that of the key. */
export function keyTags(entity: string, key: string, features: readonly FeatureDefinition[]): string[] {
  return tagsIn(entity, key, groupsOf(features));
}

/** The tags of an answer that is made of these features of one key. */
export function answerTags(entity: string, key: string, features: readonly FeatureDefinition[]): string[] {
  const names = [...new Set(features.map(({ name }) => name))];
  const ready =
    names.length > READY_TAGS_MAX ? [readyTag(entity)] : names.map((name) => readyTag(entity, name));
  return [...keyTags(entity, key, features), ...ready];
}
