import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migratePglite } from '../../../scripts/dev/database/migrations.ts';
import { IS_PART } from '../../support/node/part.ts';

const ROOT = join(import.meta.dirname, '../../..');
const execute = promisify(execFile);

const IMPORT = `import { pgEnum, pgSchema, pgTable, text } from 'drizzle-orm/pg-core';`;
const STATIONS = `export const stations = pgTable('stations', { id: text('id').primaryKey(), name: text('name') });`;

let directory = '';
let tables = '';
let out = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-generate-'));
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  const folder = await mkdtemp(join(directory, 'catalog-'));
  tables = join(folder, 'tables.ts');
  // Beside Millrace's own migrations, as a user's catalog has it.
  out = join(folder, 'migrations', 'catalog');
  await mkdir(join(folder, 'migrations', 'meta'), { recursive: true });
});

/** Runs the command as a pipeline does: no terminal on any side. */
async function generate(source: string): Promise<{ code: number; stderr: string }> {
  await writeFile(tables, `${IMPORT}\n${source}`);
  const args = ['scripts/generate.ts', '--tables', tables, '--out', out, '--name', 'next'];
  return await execute(process.execPath, args, { cwd: ROOT }).then(
    ({ stderr }) => ({ code: 0, stderr }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
  );
}

const migrations = async () => (await readdir(out)).filter((name) => name.endsWith('.sql')).sort();

describe('db:generate without a terminal', () => {
  it('writes migrations that apply to a new database, in a folder within that of Millrace', async () => {
    expect(await generate(STATIONS)).toMatchObject({ code: 0 });
    const wider = STATIONS.replace("name: text('name')", "name: text('name'), city: text('city')");
    expect(await generate(wider)).toMatchObject({ code: 0 });
    expect(await generate(wider)).toMatchObject({ code: 0 });
    expect(await migrations()).toEqual(['0000_next.sql', '0001_next.sql']);
    expect(await readFile(join(out, '0001_next.sql'), 'utf8')).toBe(
      'ALTER TABLE "stations" ADD COLUMN "city" text;',
    );
    const db = await PGlite.create();
    const { applied } = await migratePglite(db, out);
    expect(applied.filter((name) => !name.startsWith('millrace/'))).toHaveLength(2);
    await db.exec(`insert into stations values ('s', 'n', 'c')`);
    await db.close();
  }, 240_000);

  it.skipIf(IS_PART)(
    'creates no table that adopted.ts describes, even if a foreign key refers to it',
    async () => {
      await writeFile(
        join(tables, '..', 'adopted.ts'),
        `${IMPORT}\nexport const customers = pgSchema('crm').table('customers', { id: text('id').primaryKey() });`,
      );
      const source = `import { customers } from './adopted.ts';
      export const notes = pgTable('notes', { id: text('id').primaryKey(), of: text('of').references(() => customers.id) });`;
      expect(await generate(source)).toMatchObject({ code: 0 });
      const [first = ''] = await migrations();
      const text = await readFile(join(out, first), 'utf8');
      expect(text).toContain('REFERENCES "crm"."customers"("id")');
      expect(text).not.toMatch(/CREATE (SCHEMA|TABLE "crm")/);
    },
    240_000,
  );

  it.skipIf(IS_PART)(
    'says which columns may have been renamed and what to do, and writes nothing',
    async () => {
      await generate(STATIONS);
      const { code, stderr } = await generate(STATIONS.replace("name: text('name')", "title: text('title')"));
      expect(code).toBe(1);
      expect(stderr).toContain('columns of public.stations: gone name; new title');
      expect(stderr).toContain('run the same command in a terminal');
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(await migrations()).toEqual(['0000_next.sql']);
      // What it advises for a drop and an addition.
      const both = STATIONS.replace("name: text('name')", "name: text('name'), title: text('title')");
      expect(await generate(both)).toMatchObject({ code: 0 });
      expect(await generate(STATIONS.replace("name: text('name')", "title: text('title')"))).toMatchObject({
        code: 0,
      });
      expect(await migrations()).toHaveLength(3);
    },
    240_000,
  );

  it.skipIf(IS_PART)(
    'does the same for tables, and fails if drizzle-kit asks another question',
    async () => {
      await generate(`${STATIONS} export const mood = pgEnum('mood', ['good']);`);
      const renamed = await generate(
        `${STATIONS.replace("'stations'", "'places'")} export const mood = pgEnum('mood', ['good']);`,
      );
      expect(renamed.code).toBe(1);
      expect(renamed.stderr).toContain('tables: gone public.stations; new public.places');
      const other = await generate(`${STATIONS} export const mood = pgEnum('moods', ['good']);`);
      expect(other.code).toBe(1);
      expect(other.stderr).toContain(
        'drizzle-kit asks whether a schema, an enumeration or the like was renamed',
      );
      expect(await migrations()).toEqual(['0000_next.sql']);
    },
    240_000,
  );
});

it('finds the committed migrations of both sets up to date', async () => {
  for (const script of ['db:generate', 'db:generate:millrace']) {
    const { stdout } = await execute('npm', ['run', '-s', script], { cwd: ROOT });
    expect(stdout).toContain('No schema changes');
  }
});
