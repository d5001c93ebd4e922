/**
 * How much a sender may use, in units. A unit is what an answer from an isolate's memory costs; every other request costs
 * more units, by its measured cost (`src/gateway/limits/weights.ts`).
 */
export interface RateLimit {
  /** Units that are added each second. */
  readonly perSecond: number;
  /** The units that may be used at once, as seconds of `perSecond`. */
  readonly burstS: number;
}

/** The limits of a deployment. The bootstrap secret has none: with it an operator gets in, whatever is used up. */
export interface Limits {
  /** Of each key. */
  readonly key: RateLimit;
  /** Of each address, for readers without a key, and for everything that happens before a key is known. */
  readonly address: RateLimit;
  /** Of all readers without a key together, for what the isolate's memory does not answer. */
  readonly anonymous: RateLimit;
  /** Of each key, for one class of routes; such a request counts in `key` too. */
  readonly classes: Readonly<Partial<Record<LimitedClass, RateLimit>>>;
}

/** The classes of routes that may have a limit of their own. */
export const LIMITED_CLASSES = ['read', 'features', 'prediction', 'event', 'write', 'operation'] as const;
export type LimitedClass = (typeof LIMITED_CLASSES)[number];

/** What a catalog states of its limits. What it leaves out has the default. */
export type DeclaredLimits = Partial<Limits>;

/**
 * With a unit of about 0.05 ms of CPU time, a key may keep one core busy. An address may cause 14 reads of the database
 * a second, and 145 at once; all readers without a key together 1,400 a second.
 */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  key: Object.freeze({ perSecond: 20_000, burstS: 10 }),
  address: Object.freeze({ perSecond: 1_000, burstS: 10 }),
  anonymous: Object.freeze({ perSecond: 100_000, burstS: 10 }),
  classes: Object.freeze({}),
});

/** The least and the most of `perSecond`. Below, a leased unit is longer than a lease; above, sums lose their precision. */
export const PER_SECOND_MIN = 1;
export const PER_SECOND_MAX = 1_000_000_000;
/**
 * The range of `burstS`, in seconds. A bucket is in the memory of an object: an object that nobody has asked for a minute may
 * be evicted, and every bucket has to be full by then.
 */
export const BURST_S_MIN = 1;
export const BURST_S_MAX = 60;
