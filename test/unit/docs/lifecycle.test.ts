import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { expect, it } from 'vitest';
import { STORES, type Store } from '../../../src/operations/lifecycle/stores.ts';
import { PREFIXES } from '../../../src/operations/lifecycle/walk.ts';
import * as schema from '../../../src/storage/postgres/schema.ts';
import { ROOT } from './blocks.ts';

const WHERE = { postgres: 'Postgres', object: 'object', r2: 'R2', elsewhere: '' };
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const named = (place: Store['place']) =>
  STORES.filter((store) => store.place === place)
    .map(({ name }) => name)
    .sort();

it('shows every store, what bounds it, and the test that holds the bound', () => {
  const lines = STORES.map(({ name, place, bound, declared, test }) => {
    const cells = [place === 'elsewhere' ? name : `\`${name}\``, WHERE[place], bound];
    const entries = declared.map((entry) => `\`${entry}\``).join(', ');
    return `| ${[...cells, entries, test === null ? '' : `\`${test}\``].join(' | ')} |`;
  });
  const [, table = ''] = read('docs/lifecycle.md').split('| --- | --- | --- | --- | --- |\n');
  expect(table.trimEnd().split('\n')).toEqual(lines);
  for (const { test } of STORES)
    if (test !== null) expect(existsSync(join(ROOT, 'test', test)), test).toBe(true);
});

it('has a line for each table of Millrace', () => {
  const tables = Object.values(schema).filter((one) => one instanceof PgTable);
  expect(named('postgres')).toEqual(tables.map((one) => getTableConfig(one).name).sort());
});

it('has a line for each class of objects', () => {
  const classes = [...read('wrangler.toml').matchAll(/^class_name = "(\w+)"$/gm)].map(([, name]) => name);
  expect(classes.length).toBeGreaterThan(10);
  expect(named('object')).toEqual([...new Set(classes)].sort());
});

it('has a line for each prefix of the keys in R2, which the walk counts', () => {
  const files = globSync('src/{storage,inference,composition}/**/*.ts', { cwd: ROOT });
  const keys = files.flatMap((file) => {
    const text = read(file);
    if (!text.includes('R2Bucket') && !text.includes('R2 key of')) return [];
    return [...text.matchAll(/[`'](?<prefix>[a-z]+\/)(?=\$\{|')/g)].map((match) => match.groups?.['prefix']);
  });
  expect([...new Set(keys)].sort()).toEqual(named('r2'));
  expect(PREFIXES.map((one) => `${one}/`)).toEqual(named('r2'));
});
