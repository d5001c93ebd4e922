import { join } from 'node:path';
import type { Served } from '../../../test/support/node/fixture.ts';
import { catalog } from '../catalog/index.ts';

/** What `startStack` needs to run the shop. */
export const SHOP: Served = {
  catalog,
  main: 'examples/shop/test/worker/index.ts',
  migrationsDir: join(import.meta.dirname, '../migrations'),
  cachedPath: '/v1/products/NONE',
};
