import { jsonPointer } from '../../platform/failure.ts';

/** What a change does to events that were valid. Names are stable: they are shown and looked for. */
export type Rule =
  | 'type_narrowed'
  | 'null_refused'
  | 'value_removed'
  | 'values_limited'
  | 'bound_tightened'
  | 'pattern_changed'
  | 'format_changed'
  | 'multiple_of_changed'
  | 'unique_items_required'
  | 'required_added'
  | 'property_removed'
  | 'property_added'
  | 'additional_properties_closed'
  | 'refused'
  | 'undecided'
  | 'version_removed'
  | 'sunset_brought_forward';

/** One reason why an event that is valid under the old schema may not be so under the new one. */
export interface Finding {
  /** JSON Pointer (RFC 6901) into the new schema; into the old one for a property that is gone. */
  readonly pointer: string;
  readonly rule: Rule;
  /** What was and what is there; undefined where nothing is said. */
  readonly old: unknown;
  readonly new: unknown;
  /**
   * `breaking`: an event may be refused now, or it cannot be shown that none is (`undecided`). `assumed`: it is taken
   * for granted that nobody sends a property of which the old schema did not speak.
   */
  readonly effect: 'breaking' | 'assumed';
}

export type Path = readonly (string | number)[];

export function finding(path: Path, rule: Rule, old: unknown, next: unknown): Finding {
  const effect = rule === 'property_added' ? 'assumed' : 'breaking';
  return { pointer: jsonPointer(path), rule, old, new: next, effect };
}

/** Each once: the ways in which a schema can be taken apart meet the same place again. */
export function distinctFindings(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((one) => [JSON.stringify(one), one])).values()];
}

/** How far a proof is from being one. */
export function breakingOf(findings: readonly Finding[]): number {
  return findings.filter(({ effect }) => effect === 'breaking').length;
}
