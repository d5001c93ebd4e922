/** What the platform charges for. The paid plan, in US dollars a month, beyond what the plan includes. */
export interface Price {
  readonly name: string;
  /** The singular unit of which `included` and the quantities are numbers. */
  readonly unit: string;
  readonly included: number;
  /** For a million units. */
  readonly perMillion: number;
  readonly source: string;
}

/** When the sources were read. They are copies of public pages, and prices change. */
export const PRICES_READ_ON = '2026-11-28';

const WORKERS = 'https://developers.cloudflare.com/workers/platform/pricing/';
const OBJECTS = 'https://developers.cloudflare.com/durable-objects/platform/pricing/';

/** A month's fee of the plan. */
export const PLAN = 5;

export const PRICES = {
  requests: {
    name: 'Requests',
    unit: 'request or batch of a queue',
    included: 10e6,
    perMillion: 0.3,
    source: WORKERS,
  },
  cpu: { name: 'CPU time', unit: 'ms', included: 30e6, perMillion: 0.02, source: WORKERS },
  logs: { name: 'Logs', unit: 'line', included: 20e6, perMillion: 0.6, source: WORKERS },
  kvReads: { name: 'KV reads', unit: 'read', included: 10e6, perMillion: 0.5, source: WORKERS },
  kvWrites: { name: 'KV writes', unit: 'write', included: 1e6, perMillion: 5, source: WORKERS },
  queues: {
    name: 'Queues',
    unit: 'operation of 64 KB',
    included: 1e6,
    perMillion: 0.4,
    source: WORKERS,
  },
  objectCalls: {
    name: 'Object requests',
    unit: 'call or alarm',
    included: 1e6,
    perMillion: 0.15,
    source: OBJECTS,
  },
  objectTime: {
    name: 'Object duration',
    unit: 'GB-s',
    included: 400e3,
    perMillion: 12.5,
    source: OBJECTS,
  },
  rowsRead: { name: 'Object rows read', unit: 'row', included: 25e9, perMillion: 0.001, source: OBJECTS },
  rowsWritten: {
    name: 'Object rows written',
    unit: 'row',
    included: 50e6,
    perMillion: 1,
    source: OBJECTS,
  },
  r2Writes: {
    name: 'R2 writes (class A)',
    unit: 'operation',
    included: 1e6,
    perMillion: 4.5,
    source: WORKERS,
  },
  r2Reads: {
    name: 'R2 reads (class B)',
    unit: 'operation',
    included: 10e6,
    perMillion: 0.36,
    source: WORKERS,
  },
  dataPoints: {
    name: 'Analytics Engine',
    unit: 'data point',
    included: 10e6,
    perMillion: 0.25,
    source: 'https://developers.cloudflare.com/analytics/analytics-engine/pricing/',
  },
} as const satisfies Record<string, Price>;

export type Item = keyof typeof PRICES;
export const ITEMS: readonly Item[] = Object.keys(PRICES).filter((name): name is Item => name in PRICES);

/** What a month uses of each item. */
export type Usage = Readonly<Partial<Record<Item, number>>>;

/** What an item costs in a month, without what the plan includes. */
export function costOf(item: Item, usage: Usage): number {
  const { included, perMillion } = PRICES[item];
  return (Math.max(0, (usage[item] ?? 0) - included) / 1e6) * perMillion;
}

export function totalOf(usage: Usage): number {
  return ITEMS.reduce((sum, item) => sum + costOf(item, usage), PLAN);
}

/** Adds usages up. */
export function together(...usages: readonly Usage[]): Usage {
  const sum: Partial<Record<Item, number>> = {};
  for (const usage of usages) for (const item of ITEMS) sum[item] = (sum[item] ?? 0) + (usage[item] ?? 0);
  return sum;
}

export function times(usage: Usage, by: number): Usage {
  const product: Partial<Record<Item, number>> = {};
  for (const item of ITEMS) product[item] = (usage[item] ?? 0) * by;
  return product;
}
