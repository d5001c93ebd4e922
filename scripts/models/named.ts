import type { Catalog } from '../../src/define/catalog.ts';
import type { ModelDefinition } from '../../src/define/model.ts';

/** @throws Error that lists the models where the catalog has none of this name. */
export function modelNamed({ models }: Pick<Catalog, 'models'>, name: string | undefined): ModelDefinition {
  const found = models.find((model) => model.name === name);
  if (found !== undefined) return found;
  const names = models.map((model) => model.name).join(', ');
  const known = names === '' ? 'It declares none.' : `Its models: ${names}.`;
  throw new Error(
    name === undefined
      ? `Name a model of the catalog. ${known}`
      : `The catalog has no model "${name}". ${known}`,
  );
}
