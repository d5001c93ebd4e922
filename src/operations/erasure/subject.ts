import type { Catalog } from '../../define/catalog.ts';
import type { Effect } from '../../define/effect.ts';
import { type EntityDefinition, ownerKey } from '../../define/entity.ts';
import type { KeyPart } from '../../define/key.ts';
import { contributionsOf, type FoldableEvent } from '../../features/fold.ts';
import { asCurrent } from '../../pipeline/contracts/versions.ts';

/** The row of an entity whose data are searched for. */
export interface Subject {
  readonly entity: EntityDefinition;
  /** The canonical text of the key. */
  readonly key: string;
  /** The key by property of the entity's table. */
  readonly values: Readonly<Record<string, KeyPart>>;
}

/** What an event that names the subject has changed beside the event itself. */
export interface Named {
  /** The tags that it invalidated as far as the catalog tells. */
  readonly tags: readonly string[];
  /** Whether features of other keys count it. */
  readonly hasFedOthers: boolean;
  /**
   * The catalog cannot interpret it: its type is not declared any more, or it breaks the contract of today. It names the
   * subject because its data have the key as a value.
   */
  readonly isByValue: boolean;
}

type Declared = Pick<Catalog, 'eventTypes' | 'features' | 'models'>;

/**
 * Whether an event names the subject: it has written the subject's row, appended a row that the subject owns, or counts
 * for a feature or a label of it.
 *
 * @param now milliseconds since the Unix epoch.
 */
export function namedBy(
  { entity, key, values }: Subject,
  stored: FoldableEvent,
  { eventTypes, features, models }: Declared,
  now: number,
): Named | undefined {
  const event = asCurrent(eventTypes, stored);
  try {
    const verdict = eventTypes.get(event.type)?.interpret(event.data, { occurredAt: event.occurredAt, now });
    const labels = models.flatMap(({ dataset }) => (dataset === undefined ? [] : [dataset.label]));
    const counted = contributionsOf([...features, ...labels], event).map(
      ({ definition, contribution }) => [definition.entity.name, contribution.key] as const,
    );
    const isOwn = ([name, of]: readonly [string, string]) => name === entity.name && of === key;
    const hasFedOthers = counted.some((one) => !isOwn(one));
    if (verdict?.ok === true) {
      const isNamed = counted.some(isOwn) || verdict.effects.some((effect) => touches(effect, entity, key));
      return isNamed ? { tags: verdict.tags, hasFedOthers, isByValue: false } : undefined;
    }
    if (counted.some(isOwn)) return { tags: [], hasFedOthers, isByValue: false };
    return hasValues(event.data, values) ? { tags: [], hasFedOthers, isByValue: true } : undefined;
  } catch {
    // A function of the catalog fails on it.
    return hasValues(event.data, values) ? { tags: [], hasFedOthers: true, isByValue: true } : undefined;
  }
}

function touches(effect: Effect, entity: EntityDefinition, key: string): boolean {
  if (effect.kind === 'append') {
    return effect.history.owners.some((owner) => {
      const own = owner.entity.name === entity.name ? ownerKey(owner, effect.row) : null;
      return own !== null && entity.key.textOf(own) === key;
    });
  }
  if (effect.entity.name !== entity.name) return false;
  const row = 'row' in effect ? effect.row : effect.key;
  const parts = entity.key.columns.map(({ property }) => [property, row[property]] as const);
  return entity.key.textOf(Object.fromEntries(parts) as Readonly<Record<string, KeyPart>>) === key;
}

/** Whether JSON data have every part of a key as a value somewhere: as a text, or as a number. */
export function hasValues(data: unknown, values: Readonly<Record<string, KeyPart>>): boolean {
  const wanted = new Set(Object.values(values).map(String));
  const search = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') wanted.delete(String(value));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(search);
  };
  search(data);
  return wanted.size === 0;
}
