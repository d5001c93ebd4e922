import type { CachePolicy, ConsistencyLevel } from '../../src/define/cache-policy.ts';
import type { Memory } from './machines.ts';
import type { Hang, NetworkFaults } from './network.ts';
import type { Change } from './origin.ts';

/** What happens in a run from outside; everything else follows from it and the seed. */
export type Step = { readonly atMs: number } & (
  | {
      readonly kind: 'read';
      readonly isolate: number;
      readonly key: string;
      readonly level: ConsistencyLevel;
    }
  | { readonly kind: 'session'; readonly id: string; readonly visits: readonly Visit[] }
  | {
      readonly kind: 'write';
      readonly isolate: number;
      readonly changes: readonly Change[];
      /** Isolates at which others read what was written, as soon as they may count on it. */
      readonly watchers: readonly number[];
    }
  /** Another application's write: committed with its outbox row, and not announced. */
  | { readonly kind: 'foreign-write'; readonly changes: readonly Change[] }
  /** A customer buys, and waits until it shows. */
  | {
      readonly kind: 'purchase';
      readonly isolate: number;
      readonly customer: string;
      readonly watchers: readonly number[];
    }
  /** Another version of the model becomes the champion. */
  | { readonly kind: 'promote'; readonly isolate: number; readonly watchers: readonly number[] }
  | { readonly kind: 'restart'; readonly machine: string }
  | { readonly kind: 'reset-root' }
  | { readonly kind: 'cut'; readonly a: string; readonly b: string; readonly forMs: number }
  | { readonly kind: 'origin'; readonly down: boolean; readonly slowMs: number; readonly forMs: number }
  | { readonly kind: 'forget-colo'; readonly region: string }
  /** Calls between two machines are answered never, or 4 or 10 s late. */
  | {
      readonly kind: 'hang';
      readonly a: string;
      readonly b: string;
      readonly how: Hang;
      readonly forMs: number;
    }
  /** Queries fail by a fault of their own. */
  | { readonly kind: 'defect'; readonly forMs: number }
);

/** One request of a session, some time after the answer to the one before. */
export interface Visit {
  readonly isolate: number;
  readonly afterMs: number;
  readonly does: { readonly read: string } | { readonly change: Change } | { readonly buys: string };
}

export interface Plan {
  readonly seed: number;
  readonly policies: Readonly<Record<string, CachePolicy>>;
  readonly network: NetworkFaults;
  /** How far behind KV may be, in milliseconds. */
  readonly kvLagMsMax: number;
  /**
   * Whether isolates ask the root beside a slow region (region-hedge.ts), or only after the region has failed; and
   * whether readers do not wait for a clock that was silent (follower.ts). Without both, more answers of regions arrive
   * late and out of order, and more readers wait behind each other.
   */
  readonly hedgesRegions: boolean;
  /** What the clocks remember. In most worlds it is so little that entries outlive it. */
  readonly memory: Memory;
  /** Whether there are customers, feature shards and a model. */
  readonly hasCustomers: boolean;
  readonly steps: readonly Step[];
}

export const REGIONS_OF_WORLD = ['weur', 'apac'] as const;
export const ISOLATES_A_REGION = 2;
export const ISOLATES = REGIONS_OF_WORLD.length * ISOLATES_A_REGION;
export const ROWS = 3;
export const LIST = 'list';
export const keyOfRow = (row: number) => `item/${row}`;
export const KEYS = [...Array.from({ length: ROWS }, (_, row) => keyOfRow(row)), LIST];
/** Two in one shard, and one in another. */
export const CUSTOMERS = ['c0', 'c1', 'c8'];
const featuresOf = (customer: string) => `features/${customer}`;
export const predictionFor = (customer: string) => `prediction/${customer}`;
/** A prediction that no cache keeps, of features that the isolate may have in memory. */
const predictionNow = (customer: string) => `asked/${customer}`;
export const keysOfCustomer = (customer: string) => [
  featuresOf(customer),
  predictionFor(customer),
  predictionNow(customer),
];
export const CUSTOMER_KEYS = CUSTOMERS.flatMap(keysOfCustomer);
export const customerOf = (key: string) => key.split('/')[1] ?? '';
export const isFeatures = (key: string) => key.startsWith('features/');
export const isPredictionNow = (key: string) => key.startsWith('asked/');
export const isOfCustomer = (key: string) =>
  isFeatures(key) || isPredictionNow(key) || key.startsWith('prediction/');
/** When the last step of a plan may begin, and when everything must have healed. */
export const BUSY_MS = 20_000;
