/** The files of `src/catalog/`, and those that the scaffold command writes there. A file is its name with its text. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Files = ReadonlyMap<string, string>;

/** An empty catalog: skeletons that explain themselves in comments. Their imports are moved from here to there. */
export function emptyCatalog(root: string): Files {
  const folder = join(root, 'scripts/scaffold/empty');
  return new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [name, readFileSync(join(folder, name), 'utf8').replaceAll("'../../../src/", "'../")]),
  );
}

/** A catalog that is an example's: two files that point there. */
export function exampleCatalog(example: string): Files {
  return new Map([
    [
      'index.ts',
      '/** What this deployment serves. Replace this folder by your own declarations: `docs/catalog.md`. */\n' +
        `export { catalog } from '../../examples/${example}/catalog/index.ts';\n`,
    ],
    ['project.ts', `export { project } from '../../examples/${example}/project.ts';\n`],
  ]);
}

/** The folders of `examples/` that have a catalog and a project. */
export function exampleNames(root: string): string[] {
  const folder = join(root, 'examples');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) =>
    ['catalog/index.ts', 'project.ts'].every((file) => existsSync(join(folder, name, file))),
  );
}

/** The files of a catalog, those of its folders too. */
export function catalogAt(root: string): Files {
  const folder = join(root, 'src/catalog');
  if (!existsSync(folder)) return new Map();
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]),
  );
}

/** Whether a catalog is exactly what this command writes, so that nothing is lost with it. */
export function isScaffolded(root: string, current: Files): boolean {
  const written = [emptyCatalog(root), ...exampleNames(root).map((name) => exampleCatalog(name))];
  return current.size === 0 || written.some((files) => isEqual(files, current));
}

/**
 * Whether a catalog only points to one example that may be gone: `index.ts` and `project.ts`, each with one export
 * from there.
 */
export function isPointer(current: Files): boolean {
  const pointer = /^(\/\*\*.*\*\/\n)?export \{ \w+ \} from '\.\.\/\.\.\/examples\/[\w./-]+';\n$/;
  return [...current].every(
    ([name, text]) => ['index.ts', 'project.ts'].includes(name) && pointer.test(text),
  );
}

/** Replaces the whole folder. */
export function writeCatalog(root: string, files: Files): void {
  const folder = join(root, 'src/catalog');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
}

function isEqual(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, text]) => b.get(name) === text);
}
