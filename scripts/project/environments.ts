/**
 * The environments of wrangler.toml. Wrangler hands few keys of a file on to its environments, so each one needs the
 * bindings once more. They are derived from the keys above them, which are production's.
 */
import * as z from 'zod';

const ENVIRONMENTS = ['integration', 'staging', 'production'] as const;
type Environment = (typeof ENVIRONMENTS)[number];

const BEGIN =
  '# What follows is derived from what stands above by `npm run environments`. Of integration and staging it keeps `vars`,\n' +
  '# routes, `workers_dev` and the ids of namespaces, which are yours to change.';

type Value = string | number | boolean | readonly Value[] | Table;
interface Table {
  readonly [key: string]: Value;
}
const TomlValue: z.ZodType<Value> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.array(TomlValue), TomlTable]),
);
/** What wrangler reads of wrangler.toml. */
export const TomlTable: z.ZodType<Table> = z.lazy(() => z.record(z.string(), TomlValue));

/** Keys that wrangler does not hand on, in the order in which they are written. */
const DERIVED = [
  'vars',
  'version_metadata',
  'kv_namespaces',
  'r2_buckets',
  'durable_objects',
  'queues',
  'analytics_engine_datasets',
] as const;
/** What an environment beside production may say in place of what is derived or handed on. */
const OWN = ['routes', 'route', 'workers_dev', 'vars'] as const;
/** The keys whose values name something of the account that two environments cannot share. */
const NAMES: ReadonlySet<string> = new Set(['bucket_name', 'queue', 'dead_letter_queue', 'dataset']);

/**
 * The text of wrangler.toml with its environments derived anew.
 *
 * @param text wrangler.toml.
 * @param base what it says, parsed.
 */
export function withEnvironments(text: string, base: Table): string {
  const [above = ''] = text.split(BEGIN);
  const tables = ENVIRONMENTS.map((environment) => tableOf(environment, base));
  return [above.trimEnd(), '', BEGIN, ...tables].join('\n');
}

function tableOf(environment: Environment, base: Table): string {
  const name = String(base['name']);
  const own = environment === 'production' ? {} : ownOf(environment, base);
  const rename = environment === 'production' ? same : renaming(environment, name);
  const derived = DERIVED.flatMap((key) => (base[key] === undefined ? [] : [[key, base[key]] as const]));
  const of: Record<string, Value> = { ...Object.fromEntries(derived), ...own };
  const entries = Object.entries({ name: rename(name), ...of }).flatMap(([key, value]) =>
    key === 'queues' || key === 'durable_objects' ? listsOf(key, value) : [[key, value] as const],
  );
  const lines = entries.map(([key, value]) => line(key, renamedIn(value, rename)));
  return `[env.${environment}]\n${lines.join('\n')}\n`;
}

/** What the environment says for itself. Without routes of its own it has none: two workers cannot have the same. */
function ownOf(environment: Environment, base: Table): Record<string, Value> {
  const own = tableAt(tableAt(base, 'env'), environment);
  const said = Object.fromEntries(OWN.flatMap((key) => (own[key] === undefined ? [] : [[key, own[key]]])));
  const handsOnRoutes = base['routes'] !== undefined || base['route'] !== undefined;
  const hasRoutes = said['routes'] !== undefined || said['route'] !== undefined;
  const ids = new Map(listAt(own, 'kv_namespaces').map((of) => [of['binding'], of['id']]));
  const namespaces = listAt(base, 'kv_namespaces').map((of): Table => {
    const { id: _, preview_id: __, ...rest } = of;
    const id = ids.get(of['binding']);
    return id === undefined ? rest : { ...rest, id };
  });
  return {
    ...(handsOnRoutes && !hasRoutes ? { routes: [] } : {}),
    ...said,
    ...(namespaces.length === 0 ? {} : { kv_namespaces: namespaces }),
  };
}

function same(name: string): string {
  return name;
}

/** `millrace-events` is `millrace-staging-events` in `staging`; a name that does not begin with the worker's is `staging-…`. */
function renaming(environment: Environment, worker: string): (name: string) => string {
  return (name) => {
    if (name === worker || name.startsWith(`${worker}-`))
      return `${worker}-${environment}${name.slice(worker.length)}`;
    return `${environment}-${name}`;
  };
}

function renamedIn(value: Value, rename: (name: string) => string): Value {
  if (isList(value)) return value.map((item) => renamedIn(item, rename));
  if (!isTable(value)) return value;
  const entries = Object.entries(value).map(([key, part]) => [
    key,
    NAMES.has(key) && typeof part === 'string' ? rename(part) : renamedIn(part, rename),
  ]);
  return Object.fromEntries(entries);
}

/** `queues` and `durable_objects` are tables of lists, of which each has a key of its own. */
function listsOf(key: string, value: Value): (readonly [string, Value])[] {
  return isTable(value) ? Object.entries(value).map(([part, list]) => [`${key}.${part}`, list] as const) : [];
}

/** A key with its value; a list of tables has a line for each. */
function line(key: string, value: Value): string {
  if (!isList(value) || !value.some(isTable)) return `${key} = ${inline(value)}`;
  return [`${key} = [`, ...value.map((item) => `  ${inline(item)},`), ']'].join('\n');
}

/** A TOML value on one line. */
function inline(value: Value): string {
  if (isList(value)) return `[${value.map(inline).join(', ')}]`;
  if (!isTable(value)) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)} = ${inline(part)}`);
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ').replaceAll(/"([\w-]+)" = /g, '$1 = ')} }`;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function isTable(value: Value | undefined): value is Table {
  return typeof value === 'object' && !Array.isArray(value);
}

function tableAt(table: Table, key: string): Table {
  const value = table[key];
  return isTable(value) ? value : {};
}

function listAt(table: Table, key: string): readonly Table[] {
  const value = table[key];
  return value !== undefined && isList(value) ? value.filter(isTable) : [];
}
