import { join } from 'node:path';
import type { Catalog } from '../../../src/define/catalog.ts';
import { catalog } from '../catalog/index.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** A catalog with what a running stack of it needs. */
export interface Served {
  readonly catalog: Catalog;
  /** The worker's entry module, relative to the repository. */
  readonly main: string;
  /** The folder of the catalog's migrations. */
  readonly migrationsDir: string;
  /** A path whose answer is cached, also that there is no such row. */
  readonly cachedPath: string;
}

/** The catalog of the product's own tests. */
export const FIXTURE: Served = {
  catalog,
  main: 'test/support/worker/index.ts',
  migrationsDir: join(ROOT, 'test/support/catalog/migrations'),
  cachedPath: '/v1/products/NONE',
};
