import type { Catalog } from '../../define/catalog.ts';
import { readNames } from '../../define/feature.ts';
import { type ElementKind, type ImpactGraph, idOf, KINDS } from './graph.ts';
import { columnsOf, tableName } from './tables.ts';

/** The longest name of an element: a route is the longest. */
export const ELEMENT_CHARACTERS_MAX = 200;
/** How many elements with similar names an error names. */
const NEAR_MAX = 5;
/** The most changed characters of a similar name. */
const EDITS_MAX = 3;

export type Resolved =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly reason: 'unknown' | 'ambiguous'; readonly near: readonly string[] };

/**
 * The element that a name means: `kind:name`, or a name alone if only one element has it. A column may also be named by
 * the properties of drizzle (`products.unitPrice`), an event by a version of its type, and a feature by one of the names
 * under which it is read.
 */
export function resolveElement(name: string, graph: ImpactGraph, catalog: Catalog): Resolved {
  if (graph.nodes.has(name)) return { ok: true, id: name };
  const [, kind, rest] = /^(\w+):(.+)$/s.exec(name) ?? [];
  const isKind = KINDS.some((one) => one === kind);
  const wanted = isKind ? (rest ?? '') : name;
  const kinds = KINDS.filter((one) => !isKind || one === kind);
  const exact = kinds.map((one) => idOf(one, wanted)).filter((id) => graph.nodes.has(id));
  const found =
    exact.length > 0 ? exact : aliased(wanted, kinds, catalog).filter((id) => graph.nodes.has(id));
  const [only] = found;
  if (only !== undefined && found.length === 1) return { ok: true, id: only };
  if (found.length > 1) return { ok: false, reason: 'ambiguous', near: found };
  return { ok: false, reason: 'unknown', near: nearNames(wanted, kinds, graph) };
}

function aliased(name: string, kinds: readonly ElementKind[], catalog: Catalog): string[] {
  const ids = new Set<string>();
  const add = (kind: ElementKind, of: string) => kinds.includes(kind) && ids.add(idOf(kind, of));
  for (const owner of [...catalog.entities, ...catalog.histories]) {
    const table = tableName(owner.table);
    for (const [property, column] of Object.entries(columnsOf(owner.table)))
      for (const prefix of [table, owner.name])
        for (const spelling of [property, column.name])
          if (`${prefix}.${spelling}` === name) add('column', `${table}.${column.name}`);
    if (owner.kind === 'history' && owner.name === name) add('table', table);
  }
  for (const { type, name: own } of catalog.eventTypes.values()) {
    if (type === name) add('event', own);
    if (name.startsWith(`${type}.`)) add('field', `${own}${name.slice(type.length)}`);
  }
  for (const feature of catalog.features)
    for (const read of readNames(feature))
      if (name === `${feature.entity.name}.${read}`) add('feature', `${feature.entity.name}.${feature.name}`);
  return [...ids];
}

/** Elements whose names differ from this one in a few characters, or end with it; the nearest first. */
function nearNames(name: string, kinds: readonly ElementKind[], graph: ImpactGraph): string[] {
  const wanted = name.toLowerCase();
  return [...graph.nodes]
    .filter(
      ([, { kind }]) =>
        kinds.includes(kind) && !['metric', 'alert', 'dashboard', 'rule', 'route'].includes(kind),
    )
    .map(([id, node]) => {
      const own = node.name.toLowerCase();
      const last = own.slice(own.lastIndexOf('.') + 1);
      const isPart = last === wanted || own === wanted.slice(wanted.lastIndexOf('.') + 1);
      return { id, edits: isPart ? 1 : editsBetween(own, wanted) };
    })
    .filter(({ edits }) => edits <= EDITS_MAX)
    .sort((a, b) => a.edits - b.edits || (a.id < b.id ? -1 : 1))
    .slice(0, NEAR_MAX)
    .map(({ id }) => id);
}

/** The Levenshtein distance, or more than `EDITS_MAX` for texts whose lengths differ by more. */
function editsBetween(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > EDITS_MAX) return EDITS_MAX + 1;
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
