import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Catalog } from '../../src/define/catalog.ts';
import { CatalogError } from '../../src/define/problem.ts';

/**
 * The catalog of this deployment.
 *
 * @throws Error with its mistakes in plain lines, without a stack.
 */
export async function loadCatalog(): Promise<Catalog> {
  try {
    return (await import('../../src/catalog/index.ts')).catalog;
  } catch (error) {
    throw new Error(explainCatalogFault(error), { cause: error });
  }
}

/**
 * Why a catalog, or another module of the user, cannot be loaded: the catalog's mistakes, or the error of a builder or of
 * the language with its place.
 */
export function explainCatalogFault(error: unknown, what = 'The catalog'): string {
  if (error instanceof CatalogError) return error.message;
  if (!(error instanceof Error)) return `${what} cannot be loaded: ${String(error)}`;
  const place = placeOf(error);
  return `${what} cannot be loaded${place === undefined ? '' : ` (${place})`}: ${error.message}`;
}

/** The first place in the user's own files that the error's stack names. */
function placeOf({ stack = '' }: Error): string | undefined {
  for (const [, url = '', line = ''] of stack.matchAll(/(file:\/\/[^\s)]+?\.ts):(\d+)/g)) {
    const file = relative(process.cwd(), fileURLToPath(url));
    if (!/^(node_modules|scripts|src\/(define|platform))\//.test(file)) return `${file}, line ${line}`;
  }
  return undefined;
}
