/** Rules about answers: what became of them, what differs, which rows they name. */
import type { RowRoute } from '../live-data.ts';
import type { Answer } from './http.ts';

/** What became of an answer after an event. */
export type Outcome = 'fresh' | 'hit' | 'refused';

/**
 * `hit`: the cached answer is still right and was served again. `fresh`: it was read anew, or refilled with another
 * content before it was asked for.
 */
export function outcomeOf(before: Answer, after: Answer): Outcome {
  if (after.status >= 400 && after.status !== 404) return 'refused';
  const isHit = /;\s*hit\b/.test(after.cacheStatus);
  // Each 404 has the id of its request.
  const isSame = after.text === before.text || (after.status === 404 && before.status === 404);
  return isHit && isSame ? 'hit' : 'fresh';
}

/** The leaves that differ between two answers, as `path: before → after`. */
export function differences(before: unknown, after: unknown, max: number): string[] {
  const [left, right] = [leavesOf(before), leavesOf(after)];
  const paths = [...new Set([...left.keys(), ...right.keys()])];
  return paths
    .filter((path) => left.get(path) !== right.get(path))
    .slice(0, max)
    .map((path) => `${path}: ${left.get(path) ?? 'nothing'} → ${right.get(path) ?? 'nothing'}`);
}

function leavesOf(value: unknown): Map<string, string> {
  const leaves = new Map<string, string>();
  const visit = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) leaves.set(path, JSON.stringify(part));
    else
      for (const [name, inner] of Object.entries(part)) visit(inner, path === '' ? name : `${path}.${name}`);
  };
  if (typeof value === 'object' && value !== null) visit(value, '');
  return leaves;
}

/**
 * For each of the rows that the addresses name, the address of another row of the same entity, if one of the answers
 * names one. An event of the first row leaves the answer about the other as it is.
 */
export function otherRows(rows: readonly RowRoute[], answers: readonly Answer[]): string[] {
  return rows.flatMap(({ prefix, property }) => {
    const named = answers.filter(({ address }) => address.startsWith(prefix)).map(({ address }) => address);
    if (named.length === 0) return [];
    const keys = answers
      .filter(({ status }) => status === 200)
      .flatMap(({ json }) => valuesOf(json, property));
    const other = keys
      .map((key) => prefix + encodeURIComponent(key))
      .find((address) => !named.some((known) => known === address || known.startsWith(`${address}/`)));
    return other === undefined ? [] : [other];
  });
}

/** The values of a property in the objects of a list, wherever in the answer the list is. */
function valuesOf(value: unknown, property: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner): string[] => {
    if (!Array.isArray(inner)) return valuesOf(inner, property);
    return inner.flatMap((row: unknown) => {
      const key = memberOf(row, property);
      return typeof key === 'string' || typeof key === 'number' ? [String(key)] : [];
    });
  });
}

/** The items of a ranking, in their order; undefined for an answer that is none. */
export function rankedItems(json: unknown): string[] | undefined {
  const items = memberOf(json, 'items');
  if (!Array.isArray(items)) return undefined;
  return items.map((row: unknown) => String(memberOf(row, 'item')));
}

/** An own property of a JSON object. */
export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
