import { evaluate } from './evaluate.ts';
import {
  areDisjoint,
  expand,
  type Facts,
  factsOfItem,
  factsOfMember,
  finiteValues,
  kindsOf,
  kindsTaken,
  without,
} from './facts.ts';
import { breakingOf, distinctFindings, type Finding, finding, type Path } from './finding.ts';
import {
  canonical,
  isNever,
  type JsonSchema,
  type Keywords,
  type Kind,
  keywordsOf,
  resolve,
  stepsOf,
} from './json-schema.ts';
import { countBound, negationFindings, numberFindings, stringFindings } from './scalars.ts';

/** The most places that are compared. A contract has some dozens; nested alternatives multiply them. */
const STEPS_MAX = 20_000;
/** The most items of a tuple that are compared one by one. */
const PREFIX_MAX = 256;

/** The questions that a comparison is answering, so that it ends for recursive schemas. */
interface Place {
  readonly path: Path;
  /** Questions about a value that contains this one. They may be assumed to hold (induction on depth). */
  readonly assumed: ReadonlySet<string>;
  /** Questions about this value. To assume that they hold would be circular reasoning. */
  readonly pending: ReadonlySet<string>;
}

/**
 * The reasons why an instance that is valid under `older` may be invalid under `newer`; empty if there is a proof that
 * every such instance is valid. The schemas are JSON Schema 2020-12. For each keyword of the new schema, the function
 * tries to prove that it follows from the old schema. A keyword without a proof counts as breaking. The rule is
 * `undecided` for a keyword that is not interpreted here and differs between the two.
 *
 * One case counts as `assumed`: if the old schema does not mention a property and has no `additionalProperties`, no
 * producer sends that property.
 */
export function compatibility(older: JsonSchema, newer: JsonSchema): Finding[] {
  const start: Place = { path: [], assumed: new Set(), pending: new Set() };
  return distinctFindings(new Comparison(older, newer).follows([older], newer, start));
}

class Comparison {
  readonly #old: JsonSchema;
  readonly #new: JsonSchema;
  readonly #areSameDocuments: boolean;
  #steps = 0;

  constructor(older: JsonSchema, newer: JsonSchema) {
    this.#old = older;
    this.#new = newer;
    this.#areSameDocuments = JSON.stringify(older) === JSON.stringify(newer);
  }

  /** The reasons why `goal` does not follow from the facts; empty if it does. */
  follows(facts: Facts, goal: JsonSchema, place: Place): Finding[] {
    const { path } = place;
    this.#steps += 1;
    if (this.#steps > STEPS_MAX) return [finding(path, 'undecided', undefined, 'too many alternatives')];
    if (canonical(goal) === '{}' || facts.some((fact) => this.#isSame(fact, goal))) return [];
    const known = expand(facts, this.#old);
    if (known === null || known.some((fact) => this.#isSame(fact, goal))) return [];
    if (isNever(goal))
      return kindsOf(known).length === 0 ? [] : [finding(path, 'refused', known[0] ?? {}, false)];
    const undecided = [goal, ...known].flatMap((schema) => keywordsOf(schema).unknown);
    if (undecided.length > 0)
      return [...new Set(undecided)].map((name) =>
        finding([...path, name], 'undecided', memberOf(known[0], name), memberOf(goal, name)),
      );
    return this.#byAlternative(known, goal, place) ?? this.#byKind(known, goal, place);
  }

  /** A reference is resolved in its own document. */
  #isSame(fact: JsonSchema, goal: JsonSchema): boolean {
    const text = canonical(goal);
    return canonical(fact) === text && (this.#areSameDocuments || !text.includes('"$ref"'));
  }

  /** The alternatives of the facts. The goal must follow from each of them. */
  #byAlternative(known: Facts, goal: JsonSchema, place: Place): Finding[] | undefined {
    const choice = known.find((fact) => {
      const { anyOf, oneOf } = keywordsOf(fact);
      return anyOf !== undefined || oneOf !== undefined;
    });
    if (choice === undefined) return undefined;
    const { anyOf, oneOf } = keywordsOf(choice);
    const keyword = anyOf === undefined ? 'oneOf' : 'anyOf';
    const others = [...known.filter((fact) => fact !== choice), without(choice, keyword)];
    // The choice loses the fact that exactly one alternative holds, so a goal with the same `oneOf` is met here.
    const wanted = keywordsOf(goal).oneOf;
    const isMet = wanted !== undefined && oneOf !== undefined && this.#isSame({ oneOf }, { oneOf: wanted });
    const rest = isMet ? without(goal, 'oneOf') : goal;
    return (anyOf ?? oneOf ?? []).flatMap((one) => this.follows([...others, one], rest, place));
  }

  #byKind(known: Facts, goal: JsonSchema, place: Place): Finding[] {
    const kinds = kindsOf(known).filter((kind) => finiteValues(known, kind, this.#old)?.length !== 0);
    const taken = kindsTaken(goal, this.#new);
    const refused = kinds.filter((kind) => !taken.has(kind));
    const findings = kinds
      .filter((kind) => taken.has(kind))
      .flatMap((kind) => this.#ofKind(known, kind, kinds.length === 1, goal, place));
    if (refused.includes('null'))
      findings.unshift(finding(place.path, 'null_refused', kinds.join(' | '), [...taken].join(' | ')));
    else if (refused.length > 0)
      findings.unshift(finding(place.path, 'type_narrowed', kinds.join(' | '), [...taken].join(' | ')));
    return findings;
  }

  /** Checks the goal's keywords one by one, for values of one kind. */
  #ofKind(known: Facts, kind: Kind, isOnly: boolean, goal: JsonSchema, place: Place): Finding[] {
    const listed = finiteValues(known, kind, this.#old);
    if (listed !== undefined) return this.#ofValues(listed, goal, place);
    const facts = isOnly ? known : [...known, { type: kind }];
    const keywords = keywordsOf(goal);
    const { path } = place;
    const { $ref, values, allOf = [], anyOf, oneOf } = keywords;
    const findings = negationFindings(facts, keywords, path);
    if (values !== undefined)
      findings.push(finding([...path, valueKeyword(goal)], 'values_limited', undefined, values));
    if ($ref !== undefined) findings.push(...this.#reference(facts, $ref, place));
    findings.push(...allOf.flatMap((sub, index) => this.follows(facts, sub, at(place, 'allOf', index))));
    if (anyOf !== undefined) findings.push(...this.#nearest(facts, kind, anyOf, at(place, 'anyOf')).findings);
    if (oneOf !== undefined) findings.push(...this.#exactlyOne(facts, kind, oneOf, at(place, 'oneOf')));
    if (kind === 'number') findings.push(...numberFindings(facts, keywords, path));
    if (kind === 'string') findings.push(...stringFindings(facts, keywords, path));
    if (kind === 'array') findings.push(...this.#items(facts, keywords, place));
    if (kind === 'object') findings.push(...this.#members(facts, keywords, place));
    return findings;
  }

  /** Checks each value of a list of all possible values. */
  #ofValues(values: readonly unknown[], goal: JsonSchema, { path }: Place): Finding[] {
    const listed = keywordsOf(goal).values;
    const where = listed === undefined ? path : [...path, valueKeyword(goal)];
    return values.flatMap((value) => {
      const evaluation = evaluate(goal, value, this.#new);
      if (evaluation === 'valid') return [];
      return [
        finding(where, evaluation === 'invalid' ? 'value_removed' : 'undecided', value, listed ?? goal),
      ];
    });
  }

  #reference(facts: Facts, ref: string, place: Place): Finding[] {
    const target = resolve(this.#new, ref);
    const asked = `${ref} ${facts.map(canonical).sort().join()}`;
    if (place.assumed.has(asked)) return [];
    if (target === undefined || place.pending.has(asked))
      return [finding([...place.path, '$ref'], 'undecided', undefined, ref)];
    const pending = new Set([...place.pending, asked]);
    const path = stepsOf(ref);
    return this.follows(facts, target, { ...place, pending, path });
  }

  /** The alternative that is met, or else the one with the fewest reasons against it. */
  #nearest(
    facts: Facts,
    kind: Kind,
    alternatives: readonly JsonSchema[],
    place: Place,
  ): { readonly index: number; readonly findings: readonly Finding[] } {
    const attempts = alternatives.flatMap((sub, index) =>
      kindsTaken(sub, this.#new).has(kind)
        ? [{ index, findings: this.follows(facts, sub, at(place, index)) }]
        : [],
    );
    attempts.sort(
      (a, b) => breakingOf(a.findings) - breakingOf(b.findings) || a.findings.length - b.findings.length,
    );
    return attempts[0] ?? { index: -1, findings: [finding(place.path, 'type_narrowed', kind, alternatives)] };
  }

  #exactlyOne(
    facts: Facts,
    kind: Kind,
    alternatives: readonly JsonSchema[],
    place: Place,
  ): readonly Finding[] {
    const { index: met, findings } = this.#nearest(facts, kind, alternatives, place);
    if (breakingOf(findings) > 0) return findings;
    const roots = { old: this.#old, new: this.#new };
    const isOnlyOne = alternatives.every((sub, index) => index === met || areDisjoint(facts, sub, roots));
    return isOnlyOne ? findings : [...findings, finding(place.path, 'undecided', undefined, alternatives)];
  }

  #items(facts: Facts, goal: Keywords, place: Place): Finding[] {
    const { path } = place;
    const prefixes = [goal, ...facts.map(keywordsOf)].map(({ prefixItems = [] }) => prefixItems.length);
    const named = Math.max(0, ...prefixes);
    if (named > PREFIX_MAX) return [finding([...path, 'prefixItems'], 'undecided', undefined, named)];
    const most = Math.min(
      ...facts.map((fact) => keywordsOf(fact).maxItems ?? Number.POSITIVE_INFINITY),
      ...facts.map((fact) => {
        const { prefixItems = [], items = true } = keywordsOf(fact);
        return isNever(items) ? prefixItems.length : Number.POSITIVE_INFINITY;
      }),
    );
    const findings = [
      ...countBound(facts, goal, 'minItems', path),
      ...countBound(facts, goal, 'maxItems', path, Number.isFinite(most) ? most : undefined),
    ];
    if (goal.uniqueItems === true && !facts.some((fact) => keywordsOf(fact).uniqueItems === true))
      findings.push(finding([...path, 'uniqueItems'], 'unique_items_required', undefined, true));
    const { prefixItems = [], items = true } = goal;
    for (let index = 0; index < Math.min(named, most); index += 1) {
      const own = prefixItems[index];
      const where = own === undefined ? within(place, 'items') : within(place, 'prefixItems', index);
      findings.push(...this.follows(factsOfItem(facts, index), own ?? items, where));
    }
    if (named < most)
      findings.push(
        ...this.follows(factsOfItem(facts, Number.POSITIVE_INFINITY), items, within(place, 'items')),
      );
    return findings;
  }

  #members(facts: Facts, goal: Keywords, place: Place): Finding[] {
    const { path } = place;
    const { required = [], properties = {}, additionalProperties = true } = goal;
    const olds = facts.map(keywordsOf);
    const oldRequired = [...new Set(olds.flatMap((old) => old.required ?? []))];
    const oldNames = new Set(olds.flatMap((old) => Object.keys(old.properties ?? {})));
    const isClosed = olds.some((old) => isNever(old.additionalProperties ?? true));
    const findings = required
      .filter((name) => !oldRequired.includes(name))
      .map((name) => finding([...path, 'required'], 'required_added', oldRequired, name));
    findings.push(
      ...countBound(facts, goal, 'minProperties', path, oldRequired.length),
      ...countBound(facts, goal, 'maxProperties', path, isClosed ? oldNames.size : undefined),
    );
    for (const name of new Set([...oldNames, ...Object.keys(properties)]))
      findings.push(...this.#member(facts, goal, name, place));
    const others = olds.map((old) => old.additionalProperties ?? true);
    const otherFindings = this.follows(others, additionalProperties, within(place, 'additionalProperties'));
    if (isNever(additionalProperties) && otherFindings.length > 0)
      findings.push(
        finding([...path, 'additionalProperties'], 'additional_properties_closed', others[0] ?? true, false),
      );
    else findings.push(...otherFindings);
    return [...findings, ...this.#names(olds, goal, isClosed ? [...oldNames] : undefined, place)];
  }

  #member(facts: Facts, goal: Keywords, name: string, place: Place): Finding[] {
    const { properties = {}, additionalProperties = true } = goal;
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const wanted = own ?? additionalProperties;
    const known = factsOfMember(facts, name, this.#old);
    const where =
      own === undefined ? within(place, 'additionalProperties') : within(place, 'properties', name);
    const findings = this.follows(known.facts, wanted, where);
    if (findings.length === 0) return findings;
    const path = [...place.path, 'properties', name];
    if (own === undefined && isNever(wanted))
      return [finding(path, 'property_removed', known.facts[0], undefined)];
    const isUnspoken = facts.every((fact) => keywordsOf(fact).additionalProperties === undefined);
    if (!known.isNamed && isUnspoken) return [finding(path, 'property_added', undefined, own)];
    return findings;
  }

  #names(
    olds: readonly Keywords[],
    goal: Keywords,
    closed: readonly string[] | undefined,
    place: Place,
  ): Finding[] {
    if (goal.propertyNames === undefined) return [];
    const names = [{ type: 'string' }, ...olds.map((old) => old.propertyNames ?? true)];
    const listed = closed === undefined ? [] : [{ enum: closed }];
    return this.follows([...names, ...listed], goal.propertyNames, within(place, 'propertyNames'));
  }
}

/** The same value, checked by another keyword. */
function at(place: Place, ...steps: Path): Place {
  return { ...place, path: [...place.path, ...steps] };
}

/** A part of the value. The questions about the whole may be assumed to hold. */
function within({ path, assumed, pending }: Place, ...steps: Path): Place {
  return { path: [...path, ...steps], assumed: new Set([...assumed, ...pending]), pending: new Set() };
}

function valueKeyword(schema: JsonSchema): string {
  return typeof schema === 'object' && Object.hasOwn(schema, 'const') ? 'const' : 'enum';
}

function memberOf(schema: JsonSchema | undefined, name: string): unknown {
  return typeof schema === 'object' && Object.hasOwn(schema, name) ? schema[name] : undefined;
}
