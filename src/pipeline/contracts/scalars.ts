import type { Facts } from './facts.ts';
import { type Finding, finding, type Path } from './finding.ts';
import { canonical, type Keywords, keywordsOf } from './json-schema.ts';

type BoundKeyword =
  | 'minimum'
  | 'maximum'
  | 'minLength'
  | 'maxLength'
  | 'minItems'
  | 'maxItems'
  | 'minProperties'
  | 'maxProperties';

/** Whether the facts imply a bound of a count. `known` is the bound that follows from other keywords. */
export function countBound(
  facts: Facts,
  goal: Keywords,
  keyword: Exclude<BoundKeyword, 'minimum' | 'maximum'>,
  path: Path,
  known?: number,
): Finding[] {
  const bound = goal[keyword];
  if (bound === undefined) return [];
  const bounds = valuesOf(facts, keyword);
  if (known !== undefined) bounds.push(known);
  const isLower = keyword.startsWith('min');
  const old = bounds.length === 0 ? undefined : isLower ? Math.max(...bounds) : Math.min(...bounds);
  if (isLower ? (old ?? 0) >= bound : (old ?? Number.POSITIVE_INFINITY) <= bound) return [];
  return [finding([...path, keyword], 'bound_tightened', old, bound)];
}

/** The bounds and divisors of a number. */
export function numberFindings(facts: Facts, goal: Keywords, path: Path): Finding[] {
  const integral = isIntegral(facts);
  const findings = [
    ...boundFindings(facts, goal, path, integral, 1),
    ...boundFindings(facts, goal, path, integral, -1),
  ];
  const { multipleOf, type } = goal;
  if (type !== undefined && !type.has('number') && !integral)
    findings.push(finding([...path, 'type'], 'type_narrowed', 'number', 'integer'));
  if (multipleOf !== undefined && !(integral && multipleOf === 1)) {
    const divisors = valuesOf(facts, 'multipleOf');
    // The ratio of fractions is inexact, so they must be equal.
    const isKept = divisors.some(
      (divisor) =>
        divisor === multipleOf ||
        (Number.isSafeInteger(divisor) && Number.isSafeInteger(multipleOf) && divisor % multipleOf === 0),
    );
    if (!isKept)
      findings.push(finding([...path, 'multipleOf'], 'multiple_of_changed', divisors[0], multipleOf));
  }
  return findings;
}

interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

/** Upper bounds are lower ones of the negated numbers: `sign` is 1 for lower, -1 for upper ones. */
function boundFindings(facts: Facts, goal: Keywords, path: Path, integral: boolean, sign: 1 | -1): Finding[] {
  const [inclusive, exclusive] =
    sign === 1 ? (['minimum', 'exclusiveMinimum'] as const) : (['maximum', 'exclusiveMaximum'] as const);
  const bounds = [
    ...valuesOf(facts, inclusive).map((value) => ({ value: value * sign, isExclusive: false })),
    ...valuesOf(facts, exclusive).map((value) => ({ value: value * sign, isExclusive: true })),
  ].map((bound) => (integral ? nextInteger(bound) : bound));
  bounds.sort((a, b) => b.value - a.value || Number(b.isExclusive) - Number(a.isExclusive));
  const [known] = bounds;
  const before = known === undefined ? undefined : known.value * sign;
  return [inclusive, exclusive].flatMap((keyword) => {
    const bound = goal[keyword];
    if (bound === undefined) return [];
    const wanted = bound * sign;
    const isKept =
      known !== undefined &&
      (known.value > wanted || (known.value === wanted && (keyword === inclusive || known.isExclusive)));
    return isKept ? [] : [finding([...path, keyword], 'bound_tightened', before, bound)];
  });
}

/** The least integer within a lower bound. */
function nextInteger({ value, isExclusive }: Bound): Bound {
  if (!Number.isSafeInteger(value))
    return { value: Math.ceil(value), isExclusive: isExclusive && Number.isInteger(value) };
  return { value: isExclusive ? value + 1 : value, isExclusive: false };
}

function isIntegral(facts: Facts): boolean {
  return facts.some((fact) => {
    const { type, multipleOf } = keywordsOf(fact);
    const isInteger = type?.has('integer') === true && !type.has('number');
    return isInteger || (multipleOf !== undefined && Number.isSafeInteger(multipleOf));
  });
}

/** Length, pattern and format of a string. */
export function stringFindings(facts: Facts, goal: Keywords, path: Path): Finding[] {
  const same = (
    keyword: 'pattern' | 'format' | 'contentEncoding',
    rule: 'pattern_changed' | 'format_changed',
  ) => {
    const wanted = goal[keyword];
    const known = facts.flatMap((fact) => keywordsOf(fact)[keyword] ?? []);
    if (wanted === undefined || known.includes(wanted)) return [];
    return [finding([...path, keyword], rule, known[0], wanted)];
  };
  return [
    ...countBound(facts, goal, 'minLength', path),
    ...countBound(facts, goal, 'maxLength', path),
    ...same('pattern', 'pattern_changed'),
    ...same('format', 'format_changed'),
    ...same('contentEncoding', 'format_changed'),
  ];
}

/** Whether the facts contain the negation that a schema requires. */
export function negationFindings(facts: Facts, goal: Keywords, path: Path): Finding[] {
  const { not } = goal;
  if (not === undefined) return [];
  const text = canonical(not);
  // A reference may name another schema in the other document.
  const isKnown = facts.some((fact) => {
    const known = keywordsOf(fact).not;
    return known !== undefined && canonical(known) === text && !text.includes('"$ref"');
  });
  return isKnown ? [] : [finding([...path, 'not'], 'undecided', undefined, not)];
}

function valuesOf(
  facts: Facts,
  keyword: BoundKeyword | 'exclusiveMinimum' | 'exclusiveMaximum' | 'multipleOf',
) {
  return facts.flatMap((fact) => keywordsOf(fact)[keyword] ?? []);
}
