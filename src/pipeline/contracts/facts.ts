import { evaluate, kindOf } from './evaluate.ts';
import { canonical, isNever, type JsonSchema, KINDS, type Kind, keywordsOf, resolve } from './json-schema.ts';

/**
 * The facts about a value: it is valid under each of these schemas. Leaving a fact out is always safe, because it can
 * only prevent a proof.
 */
export type Facts = readonly JsonSchema[];

/** The most references and conjunctions in one place: more than any contract has. */
const DEPTH_MAX = 32;

/** The facts without references and `allOf`; null if no value is valid under all of them. */
export function expand(facts: Facts, root: JsonSchema): JsonSchema[] | null {
  const expanded = new Map<string, JsonSchema>();
  const followed = new Set<string>();
  const open = [...facts];
  for (let schema = open.shift(); schema !== undefined; schema = open.shift()) {
    if (isNever(schema)) return null;
    if (typeof schema === 'boolean') continue;
    const { $ref, allOf = [] } = keywordsOf(schema);
    if ($ref !== undefined && !followed.has($ref)) {
      followed.add($ref);
      open.push(resolve(root, $ref) ?? true);
    }
    open.push(...allOf);
    const rest = $ref === undefined && allOf.length === 0 ? schema : without(schema, '$ref', 'allOf');
    expanded.set(canonical(rest), rest);
  }
  expanded.delete('{}');
  return [...expanded.values()];
}

/** A schema without some of its keywords. */
export function without(schema: JsonSchema, ...keywords: string[]): JsonSchema {
  if (typeof schema === 'boolean') return schema;
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !keywords.includes(name)));
}

/** The kinds that a value of these (expanded) facts can have. Alternatives are ignored. */
export function kindsOf(facts: Facts): Kind[] {
  return KINDS.filter((kind) => facts.every((fact) => takes(keywordsOf(fact).type, kind)));
}

function takes(type: ReadonlySet<string> | undefined, kind: Kind): boolean {
  return type === undefined || type.has(kind) || (kind === 'number' && type.has('integer'));
}

/** The kinds that a schema may accept: possibly too many, never too few. */
export function kindsTaken(schema: JsonSchema, root: JsonSchema, depth = 0): ReadonlySet<Kind> {
  if (depth > DEPTH_MAX) return new Set(KINDS);
  if (isNever(schema)) return new Set();
  const { $ref, type, values, allOf = [], anyOf, oneOf } = keywordsOf(schema);
  const inner = (sub: JsonSchema) => kindsTaken(sub, root, depth + 1);
  const target = $ref === undefined ? undefined : resolve(root, $ref);
  const parts = [
    ...(values === undefined ? [] : [new Set(values.map(kindOf))]),
    ...(target === undefined ? [] : [inner(target)]),
    ...allOf.map(inner),
    ...[anyOf, oneOf].flatMap((of) => (of === undefined ? [] : [union(of.map(inner))])),
  ];
  return new Set(KINDS.filter((kind) => takes(type, kind) && parts.every((part) => part.has(kind))));
}

function union(sets: readonly ReadonlySet<Kind>[]): ReadonlySet<Kind> {
  return new Set(sets.flatMap((set) => [...set]));
}

/** All values of one kind that these (expanded) facts allow, if they can be listed. */
export function finiteValues(facts: Facts, kind: Kind, root: JsonSchema): unknown[] | undefined {
  const listed = facts.map((fact) => keywordsOf(fact).values).find((values) => values !== undefined);
  const all = kind === 'null' ? [null] : kind === 'boolean' ? [false, true] : listed;
  return all?.filter(
    (value) => kindOf(value) === kind && facts.every((fact) => evaluate(fact, value, root) !== 'invalid'),
  );
}

/** The facts about one member of an object, and whether any of them names the member. */
export function factsOfMember(
  facts: Facts,
  name: string,
  root: JsonSchema,
): { readonly facts: Facts; readonly isNamed: boolean } {
  const member: JsonSchema[] = [];
  let isNamed = false;
  for (const fact of facts) {
    const { properties = {}, additionalProperties = true, propertyNames = true } = keywordsOf(fact);
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined;
    isNamed ||= own !== undefined;
    member.push(own ?? additionalProperties);
    if (evaluate(propertyNames, name, root) === 'invalid') member.push(false);
  }
  return { facts: member, isNamed };
}

/** The facts about an item of an array; for an infinite index, about the items after all named ones. */
export function factsOfItem(facts: Facts, index: number): Facts {
  return facts.map((fact) => {
    const { prefixItems = [], items = true } = keywordsOf(fact);
    return prefixItems[index] ?? items;
  });
}

/** Whether no value of these facts is valid under a schema; also `false` if that cannot be decided. */
export function areDisjoint(
  facts: Facts,
  schema: JsonSchema,
  roots: { readonly old: JsonSchema; readonly new: JsonSchema },
  depth = 0,
): boolean {
  const known = expand(facts, roots.old)?.filter((fact) => keywordsOf(fact).unknown.length === 0);
  if (known === undefined) return true;
  if (depth > DEPTH_MAX) return false;
  const { $ref, anyOf, oneOf, required = [], properties = {} } = keywordsOf(schema);
  const inner = (some: Facts, sub: JsonSchema) => areDisjoint(some, sub, roots, depth + 1);
  const taken = kindsTaken(schema, roots.new);
  const common = kindsOf(known).filter((kind) => taken.has(kind));
  const refused = (kind: Kind) =>
    finiteValues(known, kind, roots.old)?.every((value) => evaluate(schema, value, roots.new) === 'invalid');
  if (common.every((kind) => refused(kind) === true)) return true;
  const target = $ref === undefined ? undefined : resolve(roots.new, $ref);
  if (target !== undefined && inner(known, target)) return true;
  for (const alternatives of [anyOf, oneOf])
    if (alternatives?.every((alternative) => inner(known, alternative)) === true) return true;
  for (const fact of known) {
    const { anyOf: any, oneOf: one } = keywordsOf(fact);
    const others = known.filter((other) => other !== fact);
    for (const alternatives of [any, one])
      if (alternatives?.every((alternative) => inner([...others, alternative], schema)) === true) return true;
  }
  if (common.join() !== 'object') return false;
  // A member that either of them requires is present, and must be valid under both.
  const asked = new Set([...required, ...known.flatMap((fact) => keywordsOf(fact).required ?? [])]);
  return [...asked].some(
    (name) =>
      Object.hasOwn(properties, name) &&
      inner(factsOfMember(known, name, roots.old).facts, properties[name] ?? true),
  );
}
