import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

/** A line of code that breaks a rule, as `file: line`. */
type Finding = string;

function codeFiles(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
}

/** The lines that match, without those that are comments: an example in a comment may speak of anything. */
function find(files: readonly string[], pattern: RegExp): Finding[] {
  return files.flatMap((file) =>
    readFileSync(join(ROOT, file), 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => !/^(\/\/|\/?\*)/.test(line) && pattern.test(line))
      .map((line) => `${file}: ${line}`),
  );
}

const isUnder = (folders: readonly string[]) => (finding: Finding) =>
  folders.some((folder) => finding.startsWith(folder));

describe('the product without its examples', () => {
  /** This file writes down what it looks for. */
  const own = 'test/unit/architecture/examples.test.ts';
  const all = codeFiles('src', 'durable-objects', 'queues', 'scripts', 'test', 'bench', 'deploy');
  /** A folder of `examples/` by name, in an import or in a path. */
  const names = existsSync(join(ROOT, 'examples')) ? readdirSync(join(ROOT, 'examples')) : [];
  const EXAMPLE = new RegExp(`examples/(${['shop', ...names].join('|')})\\b`);
  /** Whole words, also as a part of a name in camel case or snake case. */
  const WORDS =
    /(?<![a-z])(product|purchase|sku|invoice|ranker|customer)s?(?![a-z])|(Product|Purchase|Sku|Invoice|Ranker|Customer)s?(?![a-z])/;

  it('finds forbidden words and imports in a sample', () => {
    expect(all.length).toBeGreaterThan(300);
    expect(EXAMPLE.test("export { catalog } from '../../examples/shop/catalog/index.ts'")).toBe(true);
    expect(find(['test/support/catalog/tables.ts'], WORDS).length).toBeGreaterThan(10);
    for (const name of ['productList', 'isProduct', 'customer_id', 'SkuText'])
      expect(WORDS.test(name)).toBe(true);
    expect(WORDS.test('production reproduces')).toBe(false);
  });

  it('names no example, so that each can be deleted', () => {
    // What the deployment serves. In this repository that is an example.
    const files = all.filter((file) => !file.startsWith('src/catalog/') && file !== own);
    expect(find(files, EXAMPLE)).toEqual([]);
  });

  it('has no word of the shop in its code', () => {
    /** These run the fixture catalog, whose nouns are some of these words. */
    const allowed = ['scripts/verify/', 'scripts/verify-coherence.ts', 'scripts/chaos/', 'scripts/chaos.ts'];
    const findings = find(codeFiles('src', 'durable-objects', 'queues', 'scripts'), WORDS);
    expect(findings.filter((finding) => !isUnder(allowed)(finding))).toEqual([]);
  });
});
