import type { Grammar, Members } from './grammar.ts';

/** A change of one node; the numbers choose where, what, and how. */
export interface Mutation {
  readonly where: number;
  readonly what: number;
  readonly replacement: Grammar;
}

type Change = (node: Grammar, replacement: Grammar) => Grammar;

/** Changes after which all that was valid is valid still. Each leaves alone what it does not fit. */
export const LOOSENING: readonly Change[] = [
  (node) => bounded(node, 'min', (bound) => bound - 1),
  (node) => bounded(node, 'max', (bound) => bound + 1),
  (node) => dropped(node, 'min'),
  (node) => dropped(node, 'max'),
  (node) => dropped(node, 'above'),
  (node) => dropped(node, 'below'),
  (node) => dropped(node, 'pattern'),
  (node) => dropped(node, 'multipleOf'),
  (node) => (node.is === 'number' ? { ...node, int: false } : node),
  (node) => divided(node, (divisor) => divisor / 2),
  (node) => (node.is === 'number' && node.above !== undefined ? included(node, node.above) : node),
  (node) => (node.is === 'enum' ? { ...node, values: [...new Set([...node.values, 'c'])] } : node),
  (node) => ({ is: 'nullable', of: node }),
  (node, replacement) => ({ is: 'union', of: [replacement, node] }),
  (node) => eachMember(node, (member) => ({ ...member, optional: true })),
  (node) => (node.is === 'object' && node.others === 'refused' ? { ...node, others: 'unspoken' } : node),
  () => ({ is: 'unknown' }),
];

/** These may refuse what was valid. */
const OTHERS: readonly Change[] = [
  (node) => bounded(node, 'min', (bound) => bound + 1),
  (node) => bounded(node, 'max', (bound) => Math.max(0, bound - 1)),
  (node) => divided(node, (divisor) => divisor * 2),
  (node) => (node.is === 'number' && node.min !== undefined ? { ...node, above: node.min } : node),
  (node) => (node.is === 'number' && node.max !== undefined ? { ...node, below: node.max } : node),
  (node) => (node.is === 'string' ? { ...node, pattern: '^a', min: 1 } : node),
  (node) => (node.is === 'number' ? { ...node, int: true } : node),
  (node) => (node.is === 'number' ? { ...node, above: 0, multipleOf: 2 } : node),
  (node) => (node.is === 'enum' && node.values.length > 1 ? { ...node, values: node.values.slice(1) } : node),
  (node) => ('of' in node && node.is === 'nullable' ? node.of : node),
  (node) => (node.is === 'union' ? node.of[0] : node),
  (node) => (node.is === 'union' ? { ...node, is: 'exclusive' } : node),
  (node) => (node.is === 'exclusive' ? { ...node, is: 'union' } : node),
  (node) => eachMember(node, (member) => ({ ...member, optional: false })),
  (node) => (node.is === 'object' ? { ...node, others: 'refused' } : node),
  (node) => (node.is === 'object' ? { ...node, others: 'numbers' } : node),
  (node) => (node.is === 'object' ? { ...node, members: withoutFirst(node.members) } : node),
  (node, value) =>
    node.is === 'object' ? { ...node, members: { ...node.members, c: { optional: true, value } } } : node,
  (node) => (node.is === 'tuple' ? { is: 'array', item: node.items[0] ?? { is: 'unknown' } } : node),
  (node) => (node.is === 'array' ? { is: 'tuple', items: [node.item], rest: node.item } : node),
  (node) => (node.is === 'record' ? { is: 'object', others: 'numbers', members: {} } : node),
  (_, replacement) => replacement,
];

export const CHANGES = [...LOOSENING, ...OTHERS];

/** The grammar with one of its nodes changed. */
export function mutated(
  root: Grammar,
  { where, what, replacement }: Mutation,
  changes: readonly Change[],
): Grammar {
  const places = countNodes(root);
  let at = where % places;
  const visit = (node: Grammar): Grammar => {
    at -= 1;
    if (at !== -1) return mapParts(node, visit);
    // The first from there on that fits.
    const order = [...changes.slice(what % changes.length), ...changes];
    const all = order.map((change) => change(node, replacement));
    return all.find((changed) => JSON.stringify(changed) !== JSON.stringify(node)) ?? node;
  };
  return visit(root);
}

function countNodes(root: Grammar): number {
  let nodes = 0;
  const visit = (node: Grammar): Grammar => {
    nodes += 1;
    return mapParts(node, visit);
  };
  visit(root);
  return nodes;
}

function mapParts(node: Grammar, visit: (part: Grammar) => Grammar): Grammar {
  switch (node.is) {
    case 'array':
      return { ...node, item: visit(node.item) };
    case 'tuple': {
      const items = node.items.map(visit);
      return node.rest === undefined ? { ...node, items } : { ...node, items, rest: visit(node.rest) };
    }
    case 'record':
      return { ...node, value: visit(node.value) };
    case 'object':
      return { ...node, members: mapMembers(node.members, visit) };
    case 'discriminated':
      return { ...node, of: node.of.map((members) => mapMembers(members, visit)) };
    case 'union':
    case 'exclusive':
      return { ...node, of: node.of.map(visit) as [Grammar, ...Grammar[]] };
    case 'nullable':
      return { ...node, of: visit(node.of) };
    default:
      return node;
  }
}

function mapMembers(members: Members, visit: (part: Grammar) => Grammar): Members {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, { ...member, value: visit(member.value) }]),
  );
}

function eachMember(node: Grammar, change: (member: Members[string]) => Members[string]): Grammar {
  if (node.is !== 'object') return node;
  const changed = Object.entries(node.members).map(([name, member]) => [name, change(member)]);
  return { ...node, members: Object.fromEntries(changed) };
}

function bounded(node: Grammar, name: 'min' | 'max', change: (bound: number) => number): Grammar {
  const bound: unknown = Reflect.get(node, name);
  if (typeof bound !== 'number') return node;
  const next = change(bound);
  return { ...node, [name]: node.is === 'number' ? next : Math.max(0, next) } as Grammar;
}

function divided(node: Grammar, change: (divisor: number) => number): Grammar {
  if (node.is !== 'number' || node.multipleOf === undefined) return node;
  const multipleOf = change(node.multipleOf);
  return Number.isInteger(multipleOf) ? { ...node, multipleOf } : node;
}

/** An exclusive bound made an inclusive one. */
function included(node: Grammar & { is: 'number' }, bound: number): Grammar {
  const { above: _, ...others } = node;
  return { ...others, min: Math.min(bound, node.min ?? bound) };
}

function dropped(node: Grammar, name: string): Grammar {
  return Object.fromEntries(Object.entries(node).filter(([member]) => member !== name)) as unknown as Grammar;
}

function withoutFirst(members: Members): Members {
  return Object.fromEntries(Object.entries(members).slice(1));
}
