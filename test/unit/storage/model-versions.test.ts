import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevDatabase, startDevDatabase } from '../../../scripts/dev/database.ts';
import { previousVersion } from '../../../src/inference/alias-history.ts';
import { connect } from '../../../src/storage/postgres/connect.ts';
import {
  type AliasTarget,
  changeAlias,
  listAliasChanges,
  listAliases,
  listVersions,
  readAliased,
  readAliasHistory,
  readVersion,
  registerVersion,
  retireVersion,
} from '../../../src/storage/postgres/model-versions.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';

const BY = 'key:a';
const registered = (model: string, version: string) => ({
  ...{ model, version, manifest: `{"version":"${version}"}`, card: '# Card', measured: { warmP99Ms: 1 } },
});

describe('the registry of models', () => {
  let database: DevDatabase;
  let db: ReturnType<typeof connect>;
  beforeAll(async () => {
    database = await startDevDatabase(await memoryDatabase(FIXTURE.migrationsDir));
    db = connect({ url: database.connectionString, endpoint: database.endpoint });
  });
  afterAll(async () => {
    await database.close();
  });
  const point = (model: string, version: string | null, more: Partial<AliasTarget> = {}) =>
    changeAlias(
      db,
      { model, alias: 'champion', version, expected: undefined, reason: 'promote', ...more },
      { principal: BY, tags: [`model:${model}`] },
    );
  const register = async (model: string, ...versions: string[]) => {
    for (const version of versions) await registerVersion(db, registered(model, version), BY);
  };

  it('keeps a version as it was first registered, and records the registration once', async () => {
    expect(await registerVersion(db, registered('once', 'a'), BY)).toBe(true);
    expect(await registerVersion(db, { ...registered('once', 'a'), card: 'another' }, BY)).toBe(false);
    expect(await readVersion(db, 'once', 'a')).toMatchObject({
      card: '# Card',
      registeredBy: BY,
      retiredAt: null,
    });
    expect(await listVersions(db, 'once', 10)).toHaveLength(1);
    const { rows } = await db.execute(sql`select outcome from millrace.audit_log where target = 'once/a'`);
    expect(rows).toEqual([{ outcome: 'done' }]);
  });

  it('changes an alias with its outbox row and its audit entry, and keeps every change', async () => {
    await register('m', 'a', 'b');
    const first = await point('m', 'a');
    expect(first).toMatchObject({ revision: 1, version: 'a', tags: ['model:m'] });
    expect(await point('m', 'b')).toMatchObject({ revision: 2 });
    const { rows } = await db.execute(sql`select tags from millrace.outbox where id = ${first?.outboxId}`);
    expect(rows).toEqual([{ tags: ['model:m'] }]);
    const audit = await db.execute(
      sql`select before, after from millrace.audit_log where target = 'm' order by id`,
    );
    expect(audit.rows).toEqual([
      { before: { version: null }, after: { version: 'a', revision: 1 } },
      { before: { version: 'a' }, after: { version: 'b', revision: 2 } },
    ]);
    expect(await readAliased(db, 'm', 'champion')).toEqual({
      manifest: '{"version":"b"}',
      revision: 2,
      changes: [
        { version: 'a', manifest: '{"version":"a"}', revision: 1, isRollback: false, isRetired: false },
        { version: 'b', manifest: '{"version":"b"}', revision: 2, isRollback: false, isRetired: false },
      ],
    });
    expect((await listAliasChanges(db, 'm', 10)).map(({ version }) => version)).toEqual(['b', 'a']);
    expect(await listAliases(db)).toEqual([
      expect.objectContaining({ model: 'm', alias: 'champion', version: 'b', revision: 2, changedBy: BY }),
    ]);
  });

  it('changes nothing for another expectation, a version that is not there, or a withdrawn one', async () => {
    await register('cas', 'a', 'b', 'c');
    expect(await point('cas', 'a', { expected: 'b' })).toBeNull();
    expect(await point('cas', 'a', { expected: null })).toMatchObject({ revision: 1 });
    expect(await point('cas', 'b', { expected: null })).toBeNull();
    expect(await point('cas', 'b', { expected: 'a' })).toMatchObject({ revision: 2 });
    expect(await point('cas', 'nowhere')).toBeNull();
    expect(await retireVersion(db, { model: 'cas', version: 'c' }, BY)).toBe(true);
    expect(await retireVersion(db, { model: 'cas', version: 'c' }, BY)).toBe(true);
    expect(await point('cas', 'c')).toBeNull();
    expect(await retireVersion(db, { model: 'cas', version: 'b' }, BY)).toBe(false);
    expect(await retireVersion(db, { model: 'cas', version: 'nowhere' }, BY)).toBe(false);
    expect(await listAliasChanges(db, 'cas', 10)).toHaveLength(2);
  });

  it('lets one of several changes at the same time win where all expect the same', async () => {
    await register('race', 'a', 'b', 'c', 'd');
    await point('race', 'a');
    const changes = await Promise.all(
      ['b', 'c', 'd'].map((version) => point('race', version, { expected: 'a' })),
    );
    expect(changes.filter((changed) => changed !== null)).toHaveLength(1);
    const unconditional = await Promise.all(['a', 'b', 'c', 'd'].map((version) => point('race', version)));
    expect(unconditional.map((changed) => changed?.revision).toSorted()).toEqual([3, 4, 5, 6]);
  });

  it('goes back one version at a time, past withdrawn ones, and no further than the first', async () => {
    await register('back', 'a', 'b', 'c', 'd');
    for (const version of ['a', 'b', 'c', 'd']) await point('back', version);
    const back = async () => {
      const changes = await readAliasHistory(db, 'back', 'champion');
      const previous = previousVersion(changes);
      if (previous !== undefined)
        await point('back', previous, { expected: changes.at(-1)?.version, reason: 'rollback' });
      return previous;
    };
    await retireVersion(db, { model: 'back', version: 'c' }, BY);
    expect(await back()).toBe('b');
    expect(await back()).toBe('a');
    expect(await back()).toBeUndefined();
    await point('back', 'd');
    expect(await back()).toBe('a');
  });

  it('names nothing after an alias is cleared', async () => {
    await register('clear', 'a');
    await point('clear', 'a');
    expect(await point('clear', null, { reason: 'clear' })).toMatchObject({ version: null, revision: 2 });
    expect(await readAliased(db, 'clear', 'champion')).toMatchObject({ manifest: null, revision: 2 });
    expect(await readAliased(db, 'never', 'champion')).toBeUndefined();
    expect(previousVersion(await readAliasHistory(db, 'clear', 'champion'))).toBe('a');
    expect(await readAliasHistory(db, 'never', 'champion')).toEqual([]);
  });
});
