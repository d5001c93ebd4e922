import { openAsBlob, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { getTableConfig } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import { parseBundle } from '../../../src/inference/bundle.ts';
import { catalog } from '../../support/catalog/index.ts';
import { ranker } from '../../support/catalog/models.ts';
import { rankerBundle } from '../../support/models/ranker.ts';
import { FIXTURE } from '../../support/node/fixture.ts';
import { memoryDatabase } from '../../support/node/memory-database.ts';
import { workerConfig } from '../../support/node/worker-config.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('the fixture catalog', () => {
  it('declares the tables that its migration creates', async () => {
    const { image } = await memoryDatabase(FIXTURE.migrationsDir);
    await using database = await PGlite.create('memory://', { loadDataDir: await openAsBlob(image) });
    for (const { table } of [...catalog.entities, ...catalog.histories]) {
      const { name, columns, indexes } = getTableConfig(table);
      const created = await database.query<{ name: string; type: string; required: boolean }>(
        `select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as required
         from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attname`,
        [name],
      );
      const declared = columns.map((column) => ({
        name: column.name,
        type: column.getSQLType().replace(', ', ','),
        required: column.notNull,
      }));
      expect(created.rows).toEqual(declared.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
      const found = await database.query('select 1 from pg_indexes where tablename = $1', [name]);
      // The primary key has an index, too.
      expect(found.rows).toHaveLength(indexes.length + 1);
    }
  });

  it('has a bundle of its model with the columns that it declares, the same each time', () => {
    const { manifest } = parseBundle(rankerBundle());
    expect(manifest).toMatchObject({ name: ranker.name, inputs: [{ columns: ranker.columns }] });
    expect(rankerBundle()).toEqual(rankerBundle());
  });
});

describe('the configuration of a test worker', () => {
  it("is the deployment's but for its entry module", () => {
    const lines = (path: string) => readFileSync(path, 'utf8').split('\n');
    const own = lines(workerConfig('test/support/worker/index.ts'));
    const differing = lines(join(ROOT, 'wrangler.toml')).flatMap((line, at) =>
      line === own[at] ? [] : [[line, own[at]]],
    );
    expect(differing).toEqual([
      ['main = "src/index.ts"', `main = "${join(ROOT, 'test/support/worker/index.ts')}"`],
    ]);
  });
});
