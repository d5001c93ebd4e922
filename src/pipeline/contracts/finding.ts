import { jsonPointer } from '../../platform/failure.ts';

/** The effects of a change on events that were valid. The names are stable, because users see and search for them. */
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

/** One reason why an event that is valid under the old schema may be invalid under the new one. */
export interface Finding {
  /** JSON Pointer (RFC 6901) into the new schema; for a removed property, into the old one. */
  readonly pointer: string;
  readonly rule: Rule;
  /** The old and the new value of the keyword; undefined if the schema does not have it. */
  readonly old: unknown;
  readonly new: unknown;
  /**
   * `breaking`: an event may be refused now, or there is no proof that none is (`undecided`). `assumed`: the comparison
   * assumes that no producer sends a property that the old schema did not mention.
   */
  readonly effect: 'breaking' | 'assumed';
}

export type Path = readonly (string | number)[];

export function finding(path: Path, rule: Rule, old: unknown, next: unknown): Finding {
  const effect = rule === 'property_added' ? 'assumed' : 'breaking';
  return { pointer: jsonPointer(path), rule, old, new: next, effect };
}

/** The findings without repetitions: several ways through a schema lead to the same place. */
export function distinctFindings(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((one) => [JSON.stringify(one), one])).values()];
}

/** The number of findings against a proof, as its distance from being complete. */
export function breakingOf(findings: readonly Finding[]): number {
  return findings.filter(({ effect }) => effect === 'breaking').length;
}
