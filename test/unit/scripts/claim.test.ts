import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { claimState } from '../../../scripts/dev/claim.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-claim-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const OWN = { databaseUrl: undefined, migrations: 'migrations/catalog' };

it('is new once', () => {
  expect(claimState(folder, OWN)).toBe(true);
  expect(claimState(folder, OWN)).toBe(false);
});

it('refuses another database, and names none of its credentials', () => {
  claimState(folder, OWN);
  const other = { ...OWN, databaseUrl: 'postgres://me:secret@db.example/shop' };
  expect(() => claimState(folder, other)).toThrow(
    /belongs to the embedded database, not to db\.example\/shop\..*--fresh/,
  );
});

it('refuses another catalog, whose migrations would not fit', () => {
  claimState(folder, OWN);
  expect(() => claimState(folder, { ...OWN, migrations: 'examples/other/migrations' })).toThrow(
    /belongs to the catalog with the migrations in migrations\/catalog, not to .*examples\/other\/migrations/,
  );
});
