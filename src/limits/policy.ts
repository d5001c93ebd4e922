import type { RateLimit } from '../define/limits.ts';

/** A token bucket: how fast it fills, and how much it holds. In units. */
export interface RatePolicy {
  readonly kind: 'rate';
  readonly perSecond: number;
  readonly burst: number;
}

export const QUOTA_PERIODS = ['day', 'month'] as const;
export type QuotaPeriod = (typeof QUOTA_PERIODS)[number];

/** An amount for each calendar day or month, in UTC. In units. */
export interface QuotaPolicy {
  readonly kind: 'quota';
  readonly units: number;
  readonly period: QuotaPeriod;
}

export type Policy = RatePolicy | QuotaPolicy;

export function ratePolicy({ perSecond, burstS }: RateLimit): RatePolicy {
  return { kind: 'rate', perSecond, burst: perSecond * burstS };
}

/** Who may use how much of a budget, from the least to the most important. */
export const LANES = ['read', 'write', 'operation'] as const;
export type Lane = (typeof LANES)[number];

/**
 * The share of a bucket that a lane leaves to the lanes behind it. While reads keep the bucket at their share, every unit
 * that is added goes to writes first: reads get what writes and operations leave.
 */
export const RESERVED_SHARE: Readonly<Record<Lane, number>> = { read: 0.2, write: 0.05, operation: 0 };

/** The most units of a bucket that one request of a lane can be charged. A request that costs more is charged this. */
export function chargeMax({ burst }: RatePolicy, lane: Lane): number {
  return Math.floor(burst * (1 - RESERVED_SHARE[lane]));
}

/** An isolate may spend what it was granted for this long after it asked, in milliseconds. It bounds what many isolates hoard. */
export const LEASE_MS = 2_000;
/** An isolate asks for what it spends in this time, in milliseconds. */
export const LEASE_TARGET_MS = 1_000;
/** The share of a grant at which an isolate asks for the next one. */
export const LOW_SHARE = 0.5;
/** An isolate that was refused does not ask again for this long, in milliseconds, so that refusals cost few calls. */
export const PAUSE_MS_MIN = 200;
/** An isolate whose question was not answered limits by itself for this long before it asks again, in milliseconds. */
export const ALONE_MS = 5_000;

/** The share of a bucket, or of a quota, that an isolate may spend before it has asked. */
const CREDIT_SHARE = 1 / 50;
const QUOTA_CREDIT_SHARE = 1 / 1_000;

/**
 * The units that an isolate may spend before it has asked; it reports them with its next question. So a sender that asks
 * for little costs no call, and the first request of a sender waits for none.
 */
export function creditOf(policy: Policy): number {
  if (policy.kind === 'quota') return Math.ceil(policy.units * QUOTA_CREDIT_SHARE);
  return Math.ceil(policy.burst * CREDIT_SHARE);
}

/**
 * The most units that `isolates` admit together within any `windowMs`, wherever they are, while the object answers: the
 * bucket, what is added to it in the window and in the life of a lease before it, and the credit of each isolate.
 */
export function admittedMax(policy: RatePolicy, windowMs: number, isolates: number): number {
  return (
    policy.burst +
    (policy.perSecond * (windowMs + LEASE_MS)) / 1_000 +
    isolates * LANES.length * creditOf(policy)
  );
}
