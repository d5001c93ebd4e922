/**
 * The ids of operations. Generated clients make the names of their functions of them, so an id never changes. Those of
 * the catalog are a verb and a declaration's name: `readPriceList`, `putProduct`. No operation of Millrace itself begins
 * with one of these verbs, so a declaration may have any name.
 */
export const CATALOG_VERBS = ['read', 'put', 'delete', 'predict'] as const;

/** `expected-spend` as `ExpectedSpend`. */
export function pascalCase(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
