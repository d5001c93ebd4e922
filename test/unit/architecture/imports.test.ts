import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

/** Each layer may import those before it (docs/architecture.md), and what every layer may. */
const LAYERS = [
  'src/platform',
  'src/storage',
  'src/pipeline',
  'src/cache',
  'src/features',
  'src/inference',
  'src/training',
  'src/operations',
  'src/gateway',
];
const FOR_ALL_LAYERS = ['src/define', 'message'];

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    LAYERS.map((layer, index) => [layer, [...LAYERS.slice(0, index), ...FOR_ALL_LAYERS]]),
  ),
  'src/platform': [],
  'src/define': ['src/platform'],
  // A deployment's declarations: the builders, and nothing of the machine.
  'src/catalog': ['src/define', 'examples'],
  'src/storage': ['src/platform', 'src/define'],
  'src/composition': [...LAYERS, ...FOR_ALL_LAYERS, 'durable-objects', 'queues'],
  'src/gateway': [...LAYERS, ...FOR_ALL_LAYERS, 'src/composition'],
  'src/index': ['src/catalog', 'src/composition'],
  'durable-objects': [...LAYERS.slice(0, 5), ...FOR_ALL_LAYERS],
  queues: [...LAYERS.slice(0, 5), ...FOR_ALL_LAYERS, 'src/composition'],
};

function sourceFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name));
}

/** The room of a file: the deepest one that is declared, or the file itself for those directly in `src/`. */
function roomOf(file: string): string {
  if (/^queues\/[^/]+\/message\.ts$/.test(file)) return 'message';
  if (file.startsWith('examples/')) return 'examples';
  const rooms = Object.keys(MAY_IMPORT).filter((room) => file.startsWith(`${room}/`));
  const deepest = rooms.sort((a, b) => b.length - a.length)[0];
  return deepest ?? file.replace(/\.ts$/, '');
}

function relativeImports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/from '(\.[^']+)'|import '(\.[^']+)'/g)].map((match) =>
    relative(ROOT, normalize(join(ROOT, dirname(file), match[1] ?? match[2] ?? ''))),
  );
}

describe('who may import whom', () => {
  const files = ['src', 'durable-objects', 'queues'].flatMap(sourceFiles);

  it('finds the files and their imports', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(relativeImports('src/index.ts').length).toBeGreaterThan(2);
  });

  it.each(Object.keys(MAY_IMPORT))('%s keeps to its neighbours', (room) => {
    const allowed = new Set([room, ...(MAY_IMPORT[room] ?? [])]);
    const strangers = files
      .filter((file) => roomOf(file) === room)
      .flatMap((file) => relativeImports(file).map((target) => ({ file, target })))
      .filter(({ target }) => !allowed.has(roomOf(target)));
    expect(strangers).toEqual([]);
  });

  it('has the clock, randomness and ids in src/platform alone', () => {
    const impure = files
      .filter((file) => !file.startsWith('src/platform/'))
      .filter((file) =>
        /Date\.now\(|new Date\(\)|Math\.random\(|randomUUID\(/.test(readFileSync(join(ROOT, file), 'utf8')),
      );
    expect(impure).toEqual([]);
  });

  it('has no framework types below the gateway', () => {
    const strangers = files
      .filter((file) => !file.startsWith('src/gateway/'))
      .filter((file) => /from '(hono|@hono\/)/.test(readFileSync(join(ROOT, file), 'utf8')));
    expect(strangers).toEqual([]);
  });
});
