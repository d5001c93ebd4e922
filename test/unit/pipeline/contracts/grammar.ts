import fc from 'fast-check';
import * as z from 'zod';

/** A small language of contracts: what one of the catalog may be made of, in numbers and texts that meet often. */
export type Grammar =
  | { readonly is: 'string'; readonly min?: number; readonly max?: number; readonly pattern?: string }
  | {
      readonly is: 'number';
      readonly int: boolean;
      readonly min?: number;
      readonly max?: number;
      readonly above?: number;
      readonly below?: number;
      readonly multipleOf?: number;
    }
  | { readonly is: 'boolean' | 'null' | 'unknown' | 'never' }
  | { readonly is: 'enum'; readonly values: readonly (string | number | null)[] }
  | { readonly is: 'array'; readonly item: Grammar; readonly min?: number; readonly max?: number }
  | { readonly is: 'tuple'; readonly items: readonly Grammar[]; readonly rest?: Grammar }
  | { readonly is: 'record'; readonly value: Grammar }
  | {
      readonly is: 'object';
      readonly others: 'unspoken' | 'refused' | 'welcome' | 'numbers';
      readonly members: Members;
    }
  | { readonly is: 'union' | 'exclusive'; readonly of: readonly [Grammar, ...Grammar[]] }
  /** Objects told apart by the member `kind`. */
  | { readonly is: 'discriminated'; readonly of: readonly Members[] }
  | { readonly is: 'nullable'; readonly of: Grammar };
export type Members = Readonly<Record<string, { readonly optional: boolean; readonly value: Grammar }>>;

const NAMES = ['a', 'b', 'c'];
const VALUES = ['a', 'b', 'ab', 1, 2, null];
const PATTERNS = ['^a', 'b$'];
const small = fc.integer({ min: -1, max: 4 });
const count = fc.integer({ min: 0, max: 3 });

const optionally = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

/** An object without the members that are undefined. */
const record = <T extends object>(model: { [Key in keyof T]: fc.Arbitrary<T[Key] | undefined> }) =>
  fc
    .record(model as { [Key in keyof T]: fc.Arbitrary<T[Key]> })
    .map((value) => JSON.parse(JSON.stringify(value)) as T);

export const grammar: fc.Arbitrary<Grammar> = fc.letrec<{ any: Grammar; leaf: Grammar; members: Members }>(
  (tie) => ({
    leaf: fc.oneof(
      record<Grammar>({
        is: fc.constant('string'),
        min: optionally(count),
        max: optionally(count),
        pattern: optionally(fc.constantFrom(...PATTERNS)),
      } as never),
      record<Grammar>({
        is: fc.constant('number'),
        int: fc.boolean(),
        min: optionally(small),
        max: optionally(small),
        above: optionally(small),
        below: optionally(small),
        multipleOf: optionally(fc.constantFrom(0.5, 1, 2, 4)),
      } as never),
      fc.constantFrom<Grammar>({ is: 'boolean' }, { is: 'null' }, { is: 'unknown' }, { is: 'never' }),
      fc
        .uniqueArray(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 4 })
        .map((values): Grammar => ({ is: 'enum', values })),
    ),
    members: fc.dictionary(
      fc.constantFrom(...NAMES),
      fc.record({ optional: fc.boolean(), value: tie('any') }),
      { maxKeys: 3 },
    ),
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { weight: 8, arbitrary: tie('leaf') },
      record<Grammar>({
        is: fc.constant('array'),
        item: tie('any'),
        min: optionally(count),
        max: optionally(count),
      } as never),
      record<Grammar>({
        is: fc.constant('tuple'),
        items: fc.array(tie('any'), { maxLength: 2 }),
        rest: optionally(tie('any')),
      } as never),
      tie('any').map((value): Grammar => ({ is: 'record', value })),
      fc.record({
        is: fc.constant('object' as const),
        others: fc.constantFrom(
          'unspoken' as const,
          'unspoken' as const,
          'refused' as const,
          'welcome' as const,
          'numbers' as const,
        ),
        members: tie('members'),
      }),
      fc.record({
        is: fc.constantFrom('union' as const, 'exclusive' as const),
        of: fc.tuple(tie('any'), tie('any')),
      }),
      fc
        .array(tie('members'), { minLength: 1, maxLength: 2 })
        .map((of): Grammar => ({ is: 'discriminated', of })),
      tie('any').map((of): Grammar => ({ is: 'nullable', of })),
    ),
  }),
).any;

/** The schema that a grammar describes. Where `closed`, no object takes what its old schema does not speak of. */
export function schemaOf(node: Grammar, closed = false): z.ZodType {
  const inner = (part: Grammar) => schemaOf(part, closed);
  switch (node.is) {
    case 'string': {
      let schema = z.string();
      if (node.min !== undefined) schema = schema.min(node.min);
      if (node.max !== undefined) schema = schema.max(node.max);
      return node.pattern === undefined ? schema : schema.regex(new RegExp(node.pattern));
    }
    case 'number': {
      let schema: z.ZodNumber = node.int ? z.int() : z.number();
      if (node.min !== undefined) schema = schema.gte(node.min);
      if (node.max !== undefined) schema = schema.lte(node.max);
      if (node.above !== undefined) schema = schema.gt(node.above);
      if (node.below !== undefined) schema = schema.lt(node.below);
      return node.multipleOf === undefined ? schema : schema.multipleOf(node.multipleOf);
    }
    case 'boolean':
      return z.boolean();
    case 'null':
      return z.null();
    case 'unknown':
      return z.unknown();
    case 'never':
      return z.never();
    case 'enum':
      return z.literal([...node.values]);
    case 'array': {
      let schema = z.array(inner(node.item));
      if (node.min !== undefined) schema = schema.min(node.min);
      return node.max === undefined ? schema : schema.max(node.max);
    }
    case 'tuple': {
      const items = node.items.map(inner) as [z.ZodType, ...z.ZodType[]];
      return node.rest === undefined ? z.tuple(items) : z.tuple(items).rest(inner(node.rest));
    }
    case 'record':
      return z.record(z.string(), inner(node.value));
    case 'object':
      return objectOf(shapeOf(node.members, inner), node.others, closed);
    case 'union':
      return z.union(node.of.map(inner));
    case 'exclusive':
      return z.xor(node.of.map(inner));
    case 'discriminated': {
      const options = node.of.map((members, index) =>
        objectOf({ ...shapeOf(members, inner), kind: z.literal(NAMES[index] ?? '') }, 'unspoken', closed),
      );
      return z.discriminatedUnion('kind', options as unknown as [z.ZodObject, ...z.ZodObject[]]);
    }
    case 'nullable':
      return inner(node.of).nullable();
  }
}

function shapeOf(members: Members, inner: (part: Grammar) => z.ZodType): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(members).map(([name, { optional, value }]) => [
      name,
      optional ? inner(value).optional() : inner(value),
    ]),
  );
}

function objectOf(
  shape: Record<string, z.ZodType>,
  others: (Grammar & { is: 'object' })['others'],
  closed: boolean,
): z.ZodType {
  if (others === 'numbers') return z.object(shape).catchall(z.number());
  if (others === 'welcome') return z.looseObject(shape);
  return others === 'refused' || closed ? z.strictObject(shape) : z.object(shape);
}

/** Values that meet a grammar often, and others that meet none in particular. */
export function instanceOf(node: Grammar): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 6, arbitrary: wanted(node) }, { weight: 1, arbitrary: noise });
}

const text = fc.constantFrom('', 'a', 'b', 'ab', 'aab', 'bba', 'aabb');
const amount = fc.constantFrom(-2, -1, 0, 0.5, 1, 1.5, 2, 3, 4, 5, 8);
const noise: fc.Arbitrary<unknown> = fc.oneof(
  text,
  amount,
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(text, amount), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom(...NAMES, 'kind'), fc.oneof(text, amount, fc.constant(null)), { maxKeys: 3 }),
);

function wanted(node: Grammar): fc.Arbitrary<unknown> {
  switch (node.is) {
    case 'string':
      return text;
    case 'number':
      return amount;
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'unknown':
    case 'never':
      return noise;
    case 'enum':
      return fc.constantFrom(...node.values);
    case 'array':
      return fc.array(instanceOf(node.item), { maxLength: 4 });
    case 'tuple':
      return fc
        .tuple(
          fc.tuple(...node.items.map(instanceOf)),
          fc.array(node.rest ? instanceOf(node.rest) : noise, { maxLength: 1 }),
        )
        .map((parts) => parts.flat());
    case 'record':
      return fc.dictionary(fc.constantFrom(...NAMES, 'd'), instanceOf(node.value), { maxKeys: 3 });
    case 'object':
      return membersOf(node.members);
    case 'union':
    case 'exclusive':
      return fc.oneof(...node.of.map(instanceOf));
    case 'discriminated':
      return fc.oneof(
        ...node.of.map((members, index) =>
          membersOf(members).map((value) => ({ ...(value as object), kind: NAMES[index] })),
        ),
      );
    case 'nullable':
      return fc.oneof(instanceOf(node.of), fc.constant(null));
  }
}

/** Its members, some left out, and now and then others. */
function membersOf(members: Members): fc.Arbitrary<unknown> {
  const own = Object.fromEntries(
    Object.entries(members).map(([name, { value }]) => [name, instanceOf(value)]),
  );
  const requiredKeys = Object.keys(members).filter((name) => members[name]?.optional === false);
  const others = fc.dictionary(fc.constantFrom(...NAMES, 'd'), noise, { maxKeys: 1 });
  return fc.tuple(others, fc.record(own, { requiredKeys })).map(([some, known]) => ({ ...some, ...known }));
}
