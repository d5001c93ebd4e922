import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

/** Each layer may import the layers before it (docs/architecture.md). */
const LAYERS = [
  'src/platform',
  'src/storage',
  'src/pipeline',
  'src/cache',
  'src/features',
  'src/inference',
  'src/training',
  'src/operations',
  'src/limits',
  'src/gateway',
  'src/composition',
];
const FOR_ALL_LAYERS = ['src/define', 'message'];
const before = (layer: string) => [...LAYERS.slice(0, LAYERS.indexOf(layer)), ...FOR_ALL_LAYERS];
/** Rules, without what they are run on. */
const RULES = ['src/platform', 'src/pipeline', 'src/cache', 'src/features', 'src/limits', ...FOR_ALL_LAYERS];

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LAYERS.map((layer) => [layer, before(layer)])),
  'src/platform': [],
  'src/define': ['src/platform'],
  // A deployment's declarations: the builders, and nothing of the machine.
  'src/catalog': ['src/define', 'examples'],
  'src/storage': ['src/platform', 'src/define'],
  'src/limits': ['src/platform', 'src/define'],
  'src/composition': [...before('src/composition'), 'durable-objects', 'queues'],
  // It is published on its own, so it may have only types of the codes of problems.
  'src/client': ['src/platform'],
  'src/index': ['src/catalog', 'src/composition'],
  message: RULES,
  queues: RULES,
  'durable-objects': [...RULES, 'src/inference', 'src/training', 'src/operations'],
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

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** The files that a file imports, types included. */
function relativeImports(file: string): string[] {
  return [...textOf(file).matchAll(/from '(\.[^']+)'|import '(\.[^']+)'|import\('(\.[^']+)'\)/g)].map(
    (match) => relative(ROOT, normalize(join(ROOT, dirname(file), match[1] ?? match[2] ?? match[3] ?? ''))),
  );
}

/** Groups of files that import each other, directly or through others (Tarjan's strongly connected components). */
function circlesOf(importsOf: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const index = order.size;
    let low = index;
    order.set(file, index);
    stack.push(file);
    for (const target of importsOf.get(file) ?? []) {
      if (!importsOf.has(target)) continue;
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (stack.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    lowest.set(file, low);
    if (low === index) {
      const circle = stack.splice(stack.indexOf(file));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return low;
  };
  for (const file of importsOf.keys()) if (!order.has(file)) visit(file);
  return circles;
}

describe('the import rules', () => {
  const files = ['src', 'durable-objects', 'queues'].flatMap(sourceFiles);

  it('finds the files and their imports', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(relativeImports('src/index.ts').length).toBeGreaterThan(2);
    expect(relativeImports('src/composition/env.ts')).toContain('durable-objects/tag-clock/object.ts');
  });

  it.each(Object.keys(MAY_IMPORT))('%s imports only the folders that it may', (room) => {
    const allowed = new Set([room, ...(MAY_IMPORT[room] ?? [])]);
    const strangers = files
      .filter((file) => roomOf(file) === room)
      .flatMap((file) => relativeImports(file).map((target) => ({ file, target })))
      .filter(({ target }) => !allowed.has(roomOf(target)));
    expect(strangers).toEqual([]);
  });

  it('has no circle of files, types included', () => {
    expect(circlesOf(new Map(files.map((file) => [file, relativeImports(file)])))).toEqual([]);
  });

  it('finds a circle where there is one', () => {
    const imports = { a: ['b'], b: ['c', 'd'], c: ['a'], d: [] };
    expect(circlesOf(new Map(Object.entries(imports)))).toEqual([['a', 'b', 'c']]);
  });

  it('renames no import of its own because two things share a name', () => {
    const renamed = files.flatMap((file) =>
      [...textOf(file).matchAll(/(?:import|export) (?:type )?\{([^}]*)\} from '\.[^']+'/g)]
        .flatMap(([, names = '']) => names.split(','))
        .filter((name) => /\sas\s/.test(name))
        .map((name) => `${file}: ${name.trim()}`),
    );
    expect(renamed).toEqual([]);
  });

  it('lets routes reach effects only through their ports', () => {
    const reached = files
      .filter((file) => file.startsWith('src/gateway/'))
      .flatMap((file) =>
        [...textOf(file).matchAll(/import (?!type )[^;]*? from '([^']*\/storage\/[^']+)';/g)]
          .map(([statement]) => `${file}: ${statement.replaceAll(/\s+/g, ' ')}`)
          .filter((statement) => /[{,] (?!type |[A-Z_]+\b)\w/.test(statement)),
      );
    expect(reached).toEqual([]);
  });

  it('allows the clock, randomness and ids only in src/platform', () => {
    const impure = files
      // The client is published without the server's rooms, and has one such file of its own.
      .filter((file) => !file.startsWith('src/platform/') && file !== 'src/client/system.ts')
      // Built of files that are looked at themselves.
      .filter((file) => file !== 'src/gateway/page/assets.ts')
      .filter((file) => /Date\.now\(|new Date\(\)|Math\.random\(|randomUUID\(/.test(textOf(file)));
    expect(impure).toEqual([]);
  });

  it('has no framework types below the gateway', () => {
    const strangers = files
      .filter((file) => !file.startsWith('src/gateway/'))
      .filter((file) => /from '(hono|@hono\/)/.test(textOf(file)));
    expect(strangers).toEqual([]);
  });
});
