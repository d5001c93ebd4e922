import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './blocks.ts';

const PAGE = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
/** A file of tests, and the begin of a title in it. */
const NAMED = /`(?<file>test\/[^`]+\.test\.ts)`(?:: "(?<title>[^"]+)")?/g;

/** Titles as the source writes them: a test or an entry of a table. */
function hasTitle(source: string, title: string): boolean {
  return source.includes(`'${title}`) || source.includes(`\`${title}`);
}

it('docs/security.md names tests that exist', () => {
  const named = [...PAGE.matchAll(NAMED)].map(({ groups = {} }) => groups);
  expect(named.length).toBeGreaterThan(30);
  const missing = named.filter(({ file = '', title }) => {
    const path = join(ROOT, file);
    return !existsSync(path) || (title !== undefined && !hasTitle(readFileSync(path, 'utf8'), title));
  });
  expect(missing).toEqual([]);
});

it('docs/security.md names a test by its title for each risk of the OWASP API Security Top 10', () => {
  const shown = PAGE.split('\n').flatMap((row) => {
    const [, risk] = /^\| (API\d+) /.exec(row) ?? [];
    const titles = [...row.matchAll(NAMED)].flatMap(({ groups = {} }) => groups['title'] ?? []);
    return risk === undefined || titles.length === 0 ? [] : [risk];
  });
  expect(shown).toEqual(Array.from({ length: 10 }, (_, at) => `API${at + 1}`));
});
