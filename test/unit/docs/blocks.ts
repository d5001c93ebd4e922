import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../../..');

/** A fenced block of a page. */
export interface Block {
  /** Relative to the repository. */
  readonly page: string;
  /** Of its first line within the page. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** The README, `docs/`, and the README of each example and each thing to deploy. */
export function pages(): string[] {
  const readmes = (folder: string) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name));
  const folders = ['docs', 'examples', 'deploy'].filter((folder) => existsSync(join(ROOT, folder)));
  return ['README.md', ...folders.flatMap(readmes)];
}

/** @throws Error for a block that does not end. */
export function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(ROOT, page), 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, indent, language] = /^(\s*)```(\w*)$/.exec(lines[at] ?? '') ?? [];
    if (indent === undefined || language === undefined) continue;
    const end = lines.indexOf(`${indent}\`\`\``, at + 1);
    if (end === -1) throw new Error(`${page}:${at + 1}: the block does not end.`);
    const text = lines
      .slice(at + 1, end)
      .map((line) => line.slice(indent.length))
      .join('\n');
    blocks.push({ page, line: at + 2, language, text });
    at = end;
  }
  return blocks;
}
