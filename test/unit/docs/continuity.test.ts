import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NOT_COPIED, tableNames } from '../../../scripts/backup/tables.ts';
import { STORES } from '../../../src/operations/lifecycle/stores.ts';
import { catalog } from '../../support/catalog/index.ts';
import { ROOT } from './blocks.ts';

const page = readFileSync(join(ROOT, 'docs/continuity.md'), 'utf8');
const lines =
  (page.split('| store | in a backup |')[1] ?? '').split('\n\n')[0]?.trim().split('\n').slice(2) ?? [];
const cells = lines.map((line) => line.slice(2, -2).split(' | '));

it('says of every store what a backup has of it, and what is lost at most', () => {
  expect(cells.map(([store]) => store)).toEqual(
    STORES.map(({ name, place }) => (place === 'elsewhere' ? name : `\`${name}\``)),
  );
  expect(cells.filter((row) => row.length !== 4 || row.some((cell) => cell.trim() === ''))).toEqual([]);
});

it('says "no" for the tables that a backup does not have, and for no others', () => {
  const own = STORES.filter(({ place }) => place === 'postgres').map(({ name }) => name);
  const left = own.filter((name) => cells.some(([store, kept]) => store === `\`${name}\`` && kept === 'no'));
  expect(left.sort()).toEqual(Object.keys(NOT_COPIED).sort());
  const copied = tableNames(catalog).flatMap((name) => (name.startsWith('millrace.') ? [name.slice(9)] : []));
  expect([...copied, ...left].sort()).toEqual(own.sort());
});

it('explains every code', () => {
  const source = readFileSync(join(ROOT, 'scripts/backup/failure.ts'), 'utf8');
  const codes = [...source.matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(5);
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});
