import type { DatasetDefinition } from '../../define/dataset.ts';
import type { EventValue } from '../../define/feature-definition.ts';
import { contributionsOf } from '../../features/fold.ts';
import type { RecordedEvent } from '../../features/point-in-time.ts';
import { hashText } from '../../platform/random.ts';
import type { DatasetSpec } from './spec.ts';

/** What a label event says of one entity. */
export interface Touch {
  /** The canonical text of the entity's key. */
  readonly key: string;
  /** When the event happened, in milliseconds since the Unix epoch. */
  readonly at: number;
  /** From when on rows may know of it: when it happened, or when it was stored if that counts and was later. */
  readonly knownAt: number;
  /** The item, the label of an event, or the number of a sum; null for an event without one. */
  readonly value: EventValue;
}

/** What an event says of each of its entities. */
export function touchesOf(
  { label }: DatasetDefinition,
  { knowledge }: Pick<DatasetSpec, 'knowledge'>,
  event: RecordedEvent,
): Touch[] {
  const { occurredAt: at, recordedAt } = event;
  const knownAt = knowledge === 'row' ? Math.max(at, recordedAt) : at;
  return contributionsOf([label], event).map(({ contribution: { key, value } }) => ({
    ...{ key, at, knownAt, value },
  }));
}

/** A number of 32 bits by which keys are divided into parts. */
export function hashOfKey(key: string): number {
  return hashText(key);
}

/** Whether an event of these items says which item it is. */
export function itemOf({ value }: Touch): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
