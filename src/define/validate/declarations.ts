import type { Catalog } from '../catalog.ts';
import { type DeclarationMistake, mistakeIn } from '../mistake.ts';
import type { Report } from '../problem.ts';

/**
 * Reports the mistakes that builders found. A definition that only uses a mistaken one is not reported, unless the
 * mistaken one is not exported.
 */
export function checkDeclarations({ origins }: Catalog, report: Report): void {
  const owners = new Map<DeclarationMistake, unknown>();
  for (const definition of origins.keys()) {
    const found = mistakeIn(definition);
    if (found === undefined) continue;
    if (found.isOwn || !owners.has(found.mistake)) owners.set(found.mistake, definition);
  }
  for (const [{ problem, remedy }, definition] of owners)
    report(definition, namedAs(definition), problem, remedy);
}

function namedAs(definition: unknown): string {
  const { kind, name } = Object(definition) as Readonly<Record<'kind' | 'name', unknown>>;
  return `${String(kind)} "${String(name)}"`;
}
