import type { Scope } from '../define/principal.ts';
import { PHASE_NAMES } from '../platform/phases.ts';

/** The phase that answers a route. `core` answers whatever phase is off: health, keys and descriptions. */
export const PHASES = ['core', ...PHASE_NAMES] as const;
export type Phase = (typeof PHASES)[number];

/** What a request of a route costs. Limits and the inventory count by class. */
export const COST_CLASSES = [
  'health',
  'description',
  'read',
  'features',
  'prediction',
  'event',
  'write',
  'operation',
] as const;
export type CostClass = (typeof COST_CLASSES)[number];

/** What holds for all routes that match `methods` and `path`. */
export interface RouteRule {
  /** The methods; any if absent. */
  readonly methods?: readonly string[];
  readonly path: RegExp;
  /** The scope that a key needs; null for a route that needs no key. */
  readonly scope: Scope | null;
  readonly phase: Phase;
  readonly cost: CostClass;
}

const READS = ['GET', 'HEAD'];

/** Views. Their paths belong to the catalog, so `app.ts` registers them with this. A public view needs no key. */
export const VIEW_RULE = { scope: 'data:read', phase: 'cache', cost: 'read' } as const;

/** The paths of models, which belong to the catalog too. */
export const MODEL_RULE = { scope: 'predictions:run', phase: 'inference', cost: 'prediction' } as const;

/** Writes of rows, whose paths belong to the catalog too. */
export const WRITE_RULE = { scope: 'data:write', phase: 'pipeline', cost: 'write' } as const;

/**
 * The rules of all routes whose paths do not belong to the catalog; the first that matches counts. A route that no rule
 * names is open to keys with all scopes only, and does not start if it is documented.
 */
const RULES: readonly RouteRule[] = [
  {
    methods: READS,
    path: /^\/health\/dependencies$/,
    scope: 'operations:read',
    phase: 'core',
    cost: 'operation',
  },
  { methods: READS, path: /^\/health(\/(live|ready))?$/, scope: null, phase: 'core', cost: 'health' },
  {
    methods: READS,
    path: /^\/(openapi\.json|docs|models|dashboards(\/\w+)?)?$/,
    scope: null,
    phase: 'core',
    cost: 'description',
  },
  {
    methods: READS,
    path: /^\/v1\/events\/types$/,
    scope: null,
    phase: 'pipeline',
    cost: 'description',
  },
  {
    methods: ['POST'],
    path: /^\/(v1\/events|push|write-to-online-store)$/,
    scope: 'events:write',
    phase: 'pipeline',
    cost: 'event',
  },
  {
    methods: READS,
    path: /^\/v1\/(events\/.+|changes)$/,
    scope: 'data:read',
    phase: 'pipeline',
    cost: 'read',
  },
  { methods: ['POST'], path: /^\/v1\/tickets$/, scope: 'data:read', phase: 'pipeline', cost: 'read' },
  {
    methods: ['POST'],
    path: /^\/(v1\/features\/read|get-online-features)$/,
    scope: 'data:read',
    phase: 'inference',
    cost: 'features',
  },
  { methods: ['POST'], path: /^\/v1\/predictions\/[^/]+$/, ...MODEL_RULE },
  { methods: READS, path: /^\/v2\/health\/(live|ready)$/, scope: null, phase: 'core', cost: 'health' },
  { methods: ['POST'], path: /^\/v2\/models\/.+\/infer$/, ...MODEL_RULE },
  { methods: READS, path: /^\/v2$/, scope: 'predictions:run', phase: 'inference', cost: 'description' },
  {
    methods: READS,
    path: /^\/v2\/models\/.+$/,
    ...MODEL_RULE,
  },
  {
    methods: READS,
    path: /^(\/metrics|\/v1\/(gates|impact|quality(\/.*)?))$/,
    scope: 'operations:read',
    phase: 'core',
    cost: 'operation',
  },
  {
    methods: READS,
    path: /^\/v1\/models(\/.*)?$/,
    scope: 'predictions:run',
    phase: 'inference',
    cost: 'description',
  },
  { methods: READS, path: /^\/v1\/inventory$/, scope: 'operations:read', phase: 'core', cost: 'description' },
  {
    methods: READS,
    path: /^\/v1\/lineage(\/.*)?$/,
    scope: 'operations:read',
    phase: 'pipeline',
    cost: 'operation',
  },
  {
    methods: READS,
    path: /^\/v1\/training(\/.*)?$/,
    scope: 'operations:read',
    phase: 'inference',
    cost: 'operation',
  },
  { path: /^\/v1\/training(\/.*)?$/, scope: 'models:write', phase: 'inference', cost: 'operation' },
  { path: /^\/v1\/admin\/keys(\/.*)?$/, scope: 'keys:write', phase: 'core', cost: 'operation' },
  {
    methods: ['PUT', 'POST', 'HEAD', 'GET'],
    path: /^\/v1\/admin\/(models|artifacts)\/.+$/,
    scope: 'models:write',
    phase: 'inference',
    cost: 'operation',
  },
  // Its files have rows of history, which whoever operates the worker need not see.
  { path: /^\/v1\/admin\/datasets(\/.*)?$/, scope: 'models:write', phase: 'inference', cost: 'operation' },
  { methods: READS, path: /^\/v1\/admin\/.+$/, scope: 'operations:read', phase: 'core', cost: 'operation' },
  { path: /^\/v1\/admin\/.+$/, scope: 'operations:write', phase: 'core', cost: 'operation' },
  { methods: ['PUT', 'DELETE'], path: /^\/v1\/.+$/, ...WRITE_RULE },
];

/** The rule of a route whose path does not belong to the catalog; undefined for one that no rule names. */
export function ruleOf(method: string, path: string): RouteRule | undefined {
  return RULES.find(
    ({ methods, path: pattern }) => (methods?.includes(method) ?? true) && pattern.test(path),
  );
}

/** The scope that a guarded route needs; undefined for one that no rule names. Only a key with all scopes reaches that. */
export function scopeOf(method: string, path: string): Scope | undefined {
  return ruleOf(method, path)?.scope ?? undefined;
}
