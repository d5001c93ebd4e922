import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { defineProject, type Project } from '../../src/define/project.ts';
import { explainCatalogFault } from './catalog.ts';

/** npm runs every script in the repository's root. */
const FILE = join(process.cwd(), 'src/catalog/project.ts');

/**
 * The project of `src/catalog/project.ts`, or the defaults where there is no such file.
 *
 * It is loaded by `require`, because drizzle-kit reads its configuration as CommonJS and cannot wait for an import.
 *
 * @throws Error where the file cannot be loaded, or does not export a `project`.
 */
export function loadProject(): Project {
  if (!existsSync(FILE)) return defineProject();
  const project: unknown = Reflect.get(Object(loadModule()), 'project');
  if (isProject(project)) return project;
  throw new Error(
    'src/catalog/project.ts exports no `project`: write `export const project = defineProject({ … })`.',
  );
}

function loadModule(): unknown {
  try {
    return createRequire(FILE)(FILE);
  } catch (error) {
    throw new Error(explainCatalogFault(error, 'src/catalog/project.ts'), { cause: error });
  }
}

function isProject(value: unknown): value is Project {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'project';
}
