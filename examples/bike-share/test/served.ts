import { join } from 'node:path';
import type { Served } from '../../../test/support/node/fixture.ts';
import { catalog } from '../catalog/index.ts';

/** What `startStack` needs to run the bike-share. */
export const BIKE_SHARE: Served = {
  catalog,
  main: 'examples/bike-share/test/worker/index.ts',
  migrationsDir: join(import.meta.dirname, '../migrations'),
  cachedPath: '/v1/stations/99999',
};
