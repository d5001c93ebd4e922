import type { CounterSample } from '../../platform/counters.ts';

/** A condition on the value of a label. An absent label has an empty value, as in Prometheus. */
export type Matcher =
  | { readonly is: string }
  | { readonly not: string }
  | { readonly oneOf: readonly string[] }
  | { readonly noneOf: readonly string[] }
  | { readonly begins: string }
  | { readonly beginsNot: string };

/** Some series of a counter. */
export interface Selector {
  readonly name: string;
  readonly labels?: Readonly<Record<string, Matcher>>;
}

/** Whether a value fulfils a condition. */
export function isMatch(matcher: Matcher, value: string): boolean {
  if ('is' in matcher) return value === matcher.is;
  if ('not' in matcher) return value !== matcher.not;
  if ('oneOf' in matcher) return matcher.oneOf.includes(value);
  if ('noneOf' in matcher) return !matcher.noneOf.includes(value);
  if ('begins' in matcher) return value.startsWith(matcher.begins);
  return !value.startsWith(matcher.beginsNot);
}

/** Whether a sample is of the selected series. */
export function isSelected({ name, labels = {} }: Selector, sample: CounterSample): boolean {
  if (sample.name !== name) return false;
  return Object.entries(labels).every(([label, matcher]) => isMatch(matcher, sample.labels[label] ?? ''));
}

/** The selector in PromQL. */
export function promSelector({ name, labels = {} }: Selector): string {
  const conditions = promConditions(labels);
  return conditions.length === 0 ? name : `${name}{${conditions.join(',')}}`;
}

/** The conditions in PromQL, which are also those of Alertmanager. */
export function promConditions(labels: Readonly<Record<string, Matcher>>): string[] {
  return Object.entries(labels).map(([label, matcher]) => `${label}${promMatcher(matcher)}`);
}

function promMatcher(matcher: Matcher): string {
  if ('is' in matcher) return `=${quoted(matcher.is)}`;
  if ('not' in matcher) return `!=${quoted(matcher.not)}`;
  if ('oneOf' in matcher) return `=~${quoted(matcher.oneOf.map(literally).join('|'))}`;
  if ('noneOf' in matcher) return `!~${quoted(matcher.noneOf.map(literally).join('|'))}`;
  if ('begins' in matcher) return `=~${quoted(`${literally(matcher.begins)}.*`)}`;
  return `!~${quoted(`${literally(matcher.beginsNot)}.*`)}`;
}

/** A regular expression of RE2 that matches the text and nothing else. */
function literally(text: string): string {
  return text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

/** A string literal of PromQL. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
