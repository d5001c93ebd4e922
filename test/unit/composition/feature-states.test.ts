import { expect, it, vi } from 'vitest';
import { startDevDatabase } from '../../../scripts/dev/database.ts';
import { featureStatePorts } from '../../../src/composition/feature-states.ts';
import type { BoundIsolate } from '../../../src/composition/isolate.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import { catalog } from '../../support/catalog/index.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

it('reports the states of the features by three statements at the same time, and one call to the relay', {
  timeout: 120_000,
}, async () => {
  const database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
  try {
    const db = connect({ url: database.connectionString, endpoint: database.endpoint });
    const status = vi.fn(async () => ({ backfillFailure: null }));
    const env = { OUTBOX_RELAY: { getByName: () => ({ status }) } };
    const bound = { db, env, isolate: { catalog } } as unknown as BoundIsolate;
    const sent = vi.spyOn(globalThis, 'fetch');
    const { versions } = await featureStatePorts(bound).read();
    expect(versions.length).toBeGreaterThan(0);
    expect(sent).toHaveBeenCalledTimes(3);
    expect(status).toHaveBeenCalledTimes(1);
  } finally {
    vi.restoreAllMocks();
    await database.close();
  }
});
