import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documentedWays, type Way } from '../../support/node/ways.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Gives the stub of each object its type. It has no code that a read or an event runs. */
const STUBS = 'src/composition/env.ts';

it('docs/architecture.md names only files that exist', () => {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const named = [...text.matchAll(/`((?:src|queues|durable-objects|test)\/[^`\s]+)`/g)].map(
    (match) => match[1] ?? '',
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

describe.each(Object.entries(documentedWays()))('the way of a read or an event: %s', (_, way) => {
  it('names each file once', () => {
    const files = filesOf(way);
    expect(files.filter((file, index) => files.indexOf(file) !== index)).toEqual([]);
  });

  it('states the numbers of its files', () => {
    const parts = [way.steps, way.beside, way.uses].map(({ length }) => length).filter((count) => count > 0);
    expect(way.stated).toEqual([...parts, filesOf(way).length]);
  });

  it('is connected: imports lead to each step from the steps before it', () => {
    const connected = connectionsOf([...filesOf(way), STUBS]);
    const apart = way.steps.filter(
      (step, index) => !isReached(step, new Set(way.steps.slice(0, index)), way, connected),
    );
    expect(apart).toEqual(way.steps.slice(0, 1));
  });
});

it('finds a step that no import leads to', () => {
  const way: Way = { steps: ['a', 'b', 'c'], beside: [], uses: ['u'], stated: [] };
  const connected = new Map([
    ['a', new Set(['u'])],
    ['u', new Set(['a', 'b'])],
    ['b', new Set(['u'])],
  ]);
  expect(isReached('b', new Set(['a']), way, connected)).toBe(true);
  expect(isReached('c', new Set(['a', 'b']), way, connected)).toBe(false);
});

function filesOf({ steps, beside, uses }: Way): string[] {
  return [...steps, ...beside, ...uses];
}

/** The files that import each other, types included, in either direction: a port is called by the file that declares it. */
function connectionsOf(files: readonly string[]): Map<string, Set<string>> {
  const connected = new Map(files.map((file) => [file, new Set<string>()]));
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, path = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
      const target = relative(ROOT, normalize(join(ROOT, dirname(file), path)));
      if (!connected.has(target)) continue;
      connected.get(file)?.add(target);
      connected.get(target)?.add(file);
    }
  }
  return connected;
}

/** Whether imports lead from an earlier step to this one, directly or through files that are no steps. */
function isReached(
  step: string,
  earlier: ReadonlySet<string>,
  way: Way,
  connected: ReadonlyMap<string, ReadonlySet<string>>,
): boolean {
  const between = new Set([...way.beside, ...way.uses, STUBS]);
  const seen = new Set([step]);
  for (const file of seen) {
    for (const next of connected.get(file) ?? []) {
      if (earlier.has(next)) return true;
      if (between.has(next)) seen.add(next);
    }
  }
  return false;
}
