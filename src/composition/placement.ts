import * as z from 'zod';
import { REGIONS, type Region, type RequestPlace, regionOf } from '../platform/regions.ts';

/**
 * Where each class of Durable Objects is placed. An object stays for good where it was when it was first used, so every
 * use names the same place. No I/O, no bindings.
 */

/**
 * - `database`: beside the database. The object and its callers write to both in turn.
 * - `own-region`: in the region that the object is named after.
 * - `reader`: in the region of the request. Each region has objects of its own, named after it.
 */
export type PlacementRule = 'database' | 'own-region' | 'reader';

export const PLACEMENT = {
  /** The relay and the storing consumers call it after each transaction; regional clocks relieve it of the readers. */
  'root-clock': 'database',
  'regional-clock': 'own-region',
  /** The consumer folds into all shards of a batch, then invalidates at the root. */
  'feature-shard': 'database',
  /** A pass is two statements and two calls to the root. */
  'outbox-relay': 'database',
  /** The requests of one region that miss the same entry meet there. */
  'fill-gate': 'reader',
  /** Isolates of all regions send to it in the background. Beside the root, its place depends on no first caller. */
  'cache-stats': 'database',
  /** The storing consumer counts each transaction there. */
  'quality-window': 'database',
  /** The consumer appends to it; its readers wait for changes anyway. */
  'change-feed': 'database',
  /** The status of an event asks the database, then these. */
  'queued-events': 'database',
  /** It stores what it reads. */
  'kafka-source': 'database',
  /** The isolates of all regions spend one budget. They ask ahead, so few requests wait for the way there. */
  'rate-limiter': 'database',
  /** Its callers write to the database next. */
  idempotency: 'database',
  /** It reads history. */
  datasets: 'database',
  /** It asks the database and the object of the datasets. */
  'training-runs': 'database',
  /** It moves what the registry in the database has. */
  rollouts: 'database',
  /** It reads events. */
  feedback: 'database',
  /** Isolates of all regions send to it in the background. */
  'drift-watches': 'database',
  /** It asks the object that adds up the counts, each minute. */
  alerts: 'database',
} as const satisfies Readonly<Record<string, PlacementRule>>;
export type PlacedClass = keyof typeof PLACEMENT;
type PlacedBy<Rule extends PlacementRule> = {
  [Class in PlacedClass]: (typeof PLACEMENT)[Class] extends Rule ? Class : never;
}[PlacedClass];
/** The classes whose objects are placed by the database alone. */
export type BesideDatabase = PlacedBy<'database'>;

/** The region of a reader: if its location is unknown, the database's, since the root and the origin are there. */
export function readerRegion(place: RequestPlace, database: Region | undefined): Region {
  return place.continent === undefined && database !== undefined ? database : regionOf(place);
}

/** The name of a pool of fill gates: its region and its number (`src/cache/gate-pool.ts`). */
export function fillGateName(region: Region, pool: number): string {
  return `${region}/${pool}`;
}

/** The variable `DATABASE_REGION`. */
export const DatabaseRegion = z
  .enum(REGIONS, `expected the location hint nearest to the database: one of ${REGIONS.join(', ')}`)
  .optional();

/**
 * The region of the database: the configured one, else that of the host name in its URL, if it says. Undefined if neither
 * does; the platform then places an object near its first caller.
 */
export function regionFor(configured: Region | undefined, databaseUrl: string): Region | undefined {
  if (configured !== undefined) return configured;
  // Whether the URL is valid is for those to say that connect to it.
  const url = URL.parse(databaseUrl);
  return url === null ? undefined : regionOfDatabase(url.hostname);
}

/** Regions of cloud providers by their names' beginning, the longest first where one begins another. */
const CLOUD_REGIONS: readonly (readonly [begin: string, region: Region])[] = [
  ['us-east', 'enam'],
  ['us-west', 'wnam'],
  ['ca-west', 'wnam'],
  ['ca-', 'enam'],
  ['sa-', 'sam'],
  // Stockholm and Warsaw lie east of the divide of `regions.ts`; Frankfurt, Zurich, Milan and Spain west of it.
  ['eu-north', 'eeur'],
  ['eu-', 'weur'],
  ['ap-southeast-2', 'oc'],
  ['ap-southeast-4', 'oc'],
  ['ap-', 'apac'],
  ['me-', 'me'],
  ['il-', 'me'],
  ['af-', 'afr'],
  // Azure's.
  ['eastus', 'enam'],
  ['westus', 'wnam'],
  ['gwc', 'weur'],
];

/** Neon's hosts: `ep-….us-east-2.aws.neon.tech`, also with a cell between (`ep-….c-2.us-east-2.aws.neon.tech`). */
const NEON_HOST = /\.([a-z0-9-]+)\.(?:aws|azure|gcp)\.neon\.tech$/;

/** The region of a database by its host name; undefined if the name does not say. */
export function regionOfDatabase(host: string): Region | undefined {
  const cloudRegion = NEON_HOST.exec(host.toLowerCase())?.[1];
  if (cloudRegion === undefined) return undefined;
  return CLOUD_REGIONS.find(([begin]) => cloudRegion.startsWith(begin))?.[1];
}
