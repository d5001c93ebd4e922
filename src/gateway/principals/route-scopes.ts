import type { Scope } from '../../define/principal.ts';

interface Rule {
  /** The methods; any if absent. */
  readonly methods?: readonly string[];
  readonly path: RegExp;
  readonly scope: Scope;
}

const READS = ['GET', 'HEAD'];

/**
 * The scope that each guarded route needs; the first rule that matches counts. Views need `data:read` and the paths of
 * models `predictions:run`: their paths belong to the catalog, so `app.ts` registers them with their scope.
 */
const RULES: readonly Rule[] = [
  { methods: ['POST'], path: /^\/v1\/events$/, scope: 'events:write' },
  { methods: READS, path: /^\/v1\/(events\/.+|changes)$/, scope: 'data:read' },
  { methods: ['POST'], path: /^\/v1\/features\/read$/, scope: 'data:read' },
  { methods: ['POST'], path: /^\/v1\/predictions\/[^/]+$/, scope: 'predictions:run' },
  { path: /^\/v2(\/.*)?$/, scope: 'predictions:run' },
  { methods: READS, path: /^(\/metrics|\/v1\/(quality|lineage)(\/.*)?)$/, scope: 'operations:read' },
  { path: /^\/v1\/admin\/keys(\/.*)?$/, scope: 'keys:write' },
  { methods: ['PUT', 'HEAD', 'GET'], path: /^\/v1\/admin\/(models|artifacts)\/.+$/, scope: 'models:write' },
  { methods: READS, path: /^\/v1\/admin\/.+$/, scope: 'operations:read' },
  { path: /^\/v1\/admin\/.+$/, scope: 'operations:write' },
  { methods: ['PUT', 'DELETE'], path: /^\/v1\/.+$/, scope: 'data:write' },
];

/** The scope that a route needs; undefined for one that no rule names. Only a key with all scopes reaches that. */
export function scopeOf(method: string, path: string): Scope | undefined {
  return RULES.find(({ methods, path: pattern }) => (methods?.includes(method) ?? true) && pattern.test(path))
    ?.scope;
}
