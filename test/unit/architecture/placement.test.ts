import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const STUBS = 'src/composition/objects.ts';
/** Every way from a namespace to an object. `.get(` of a namespace needs an id, which one of the others makes. */
const ASKS = /\.(getByName|idFromName|idFromString|newUniqueId|jurisdiction)\s*\(/g;

const files = ['src', 'durable-objects', 'queues', 'bench'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
);
const asksOf = (file: string) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(ASKS)];

it('one function asks a namespace for an object, and passes a location hint', () => {
  expect(files).toContain(STUBS);
  expect(files.filter((file) => asksOf(file).length > 0)).toEqual([STUBS]);
  expect(asksOf(STUBS).map(([, name]) => name)).toEqual(['getByName']);
  expect(readFileSync(join(ROOT, STUBS), 'utf8')).toMatch(
    /namespace\.getByName\(name, .*\{ locationHint: region \}\)/,
  );
});
