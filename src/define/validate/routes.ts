import type { Catalog } from '../catalog.ts';
import type { Report } from '../problem.ts';
import { RESERVED_PATHS } from '../reserved-paths.ts';

/** A route of a declaration. */
interface Route {
  readonly definition: unknown;
  /** The route's name in messages. */
  readonly named: string;
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly segments: readonly string[];
}

const STATIC_SEGMENT = /^[A-Za-z0-9._~-]+$/;
const VERSIONED = /^\/v[1-9]\d{0,2}\//;
const PARAMETER = /^\{([A-Za-z_]\w*)\}$/;

/** Checks that paths are well-formed, reach their own declaration, and do not use the product's routes. */
export function checkRoutes(catalog: Catalog, report: Report): void {
  const routes = routesOf(catalog);
  for (const route of routes) checkForm(route, report);
  for (const view of catalog.views) checkParameters(view, report);
  for (const [index, route] of routes.entries())
    for (const earlier of routes.slice(0, index)) checkClash(route, earlier, report);
}

function routesOf({ views, models, entities }: Catalog): Route[] {
  const get = [...views, ...models].flatMap((definition) =>
    definition.path === undefined
      ? []
      : [
          {
            definition,
            named: `${definition.kind} "${definition.name}"`,
            method: 'GET' as const,
            path: definition.path,
          },
        ],
  );
  const put = entities.flatMap((entity) =>
    entity.write === undefined
      ? []
      : [
          {
            definition: entity,
            named: `entity "${entity.name}"`,
            method: 'PUT' as const,
            path: [
              '/v1',
              entity.write.path,
              ...entity.key.columns.map(({ property }) => `{${property}}`),
            ].join('/'),
          },
        ],
  );
  return [...get, ...put].map((route) => ({ ...route, segments: route.path.split('/').slice(1) }));
}

function checkForm({ definition, named, path, segments }: Route, report: Report): void {
  const isWellFormed = segments.every((segment) => STATIC_SEGMENT.test(segment) || PARAMETER.test(segment));
  if (path.startsWith('/v2/')) {
    report(
      definition,
      named,
      `The path "${path}" has version 2, which belongs to the Open Inference Protocol.`,
      'Choose another number, such as 3.',
    );
    return;
  }
  if (!VERSIONED.test(path) || !isWellFormed) {
    const remedy =
      'Write it as /v1/things/{id}: segments of letters, digits and . _ ~ -, or one parameter in braces.';
    report(definition, named, `The path "${path}" is not well-formed.`, remedy);
    return;
  }
  const parameters = segments.flatMap((segment) => PARAMETER.exec(segment)?.[1] ?? []);
  if (new Set(parameters).size !== parameters.length)
    report(definition, named, `The path "${path}" has one parameter twice.`, 'Give each its own name.');
  const reserved = RESERVED_PATHS.find((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  if (reserved !== undefined)
    report(
      definition,
      named,
      `The path "${path}" belongs to a route of Millrace, ${reserved}.`,
      'Choose another path.',
    );
}

function checkParameters(view: Catalog['views'][number], report: Report): void {
  const inPath = view.path.split('/').flatMap((segment) => PARAMETER.exec(segment)?.[1] ?? []);
  const declared = Object.keys(view.params.shape);
  const named = `view "${view.name}"`;
  for (const name of inPath)
    if (!declared.includes(name))
      report(
        view,
        named,
        `The path has the parameter "${name}", which \`params\` lacks.`,
        `Add \`${name}\` to \`params\`.`,
      );
  for (const name of declared)
    if (!inPath.includes(name))
      report(
        view,
        named,
        `\`params\` has "${name}", which the path lacks.`,
        `Add {${name}} to the path, or move it to \`query\`.`,
      );
  for (const name of Object.keys(view.query.shape))
    if (declared.includes(name))
      report(view, named, `"${name}" is in \`params\` and in \`query\`.`, 'Rename one of the two.');
}

/**
 * Reports two routes that could match the same request. `/stations/search` and `/stations/{id}` do not clash: the first
 * is more specific in every segment, and the gateway registers it first.
 */
function checkClash(route: Route, other: Route, report: Report): void {
  if (route.segments.length !== other.segments.length) return;
  const pairs = route.segments.map((segment, index) => [segment, other.segments[index] ?? ''] as const);
  if (!pairs.every(([a, b]) => a === b || PARAMETER.test(a) || PARAMETER.test(b))) return;
  const isSame = pairs.every(([a, b]) => a === b || (PARAMETER.test(a) && PARAMETER.test(b)));
  const isNamedAlike = route.path === other.path;
  if (isSame) {
    // A view and the write of the same entity may share a path if its parameters have the same names.
    if (route.method !== other.method && isNamedAlike) return;
    const problem =
      route.method === other.method
        ? `The path "${route.path}" is also that of the ${other.named}, "${other.path}".`
        : `The path "${route.path}" has other parameter names than that of the ${other.named}, "${other.path}".`;
    const remedy =
      route.method === other.method
        ? 'Choose another path.'
        : "Give the parameters the names of the key's properties.";
    report(route.definition, route.named, problem, remedy);
    return;
  }
  if (route.method !== other.method) return;
  const isMoreSpecific = (at: 0 | 1) =>
    pairs.every((pair) => !PARAMETER.test(pair[at]) || PARAMETER.test(pair[at === 0 ? 1 : 0]));
  if (isMoreSpecific(0) || isMoreSpecific(1)) return;
  const problem = `A request could mean the path "${route.path}" or that of the ${other.named}, "${other.path}".`;
  report(route.definition, route.named, problem, 'Make one of the two more specific in every segment.');
}
