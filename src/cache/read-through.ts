import type { CachePolicy, ConsistencyLevel, Loaded } from '../catalog/define/view.ts';
import type { Now } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { isValid } from './clock/clock.ts';
import type { ClockFollower, FollowerContext } from './clock/follower.ts';
import { slotsOf } from './clock/slots.ts';
import { formatToken, type Token } from './clock/token.ts';
import { ENTRY_TAGS_MAX, type Entry } from './entry.ts';
import { purgeTags } from './purge.ts';
import type { Tier } from './tiers/tier.ts';

/** What the reader asks for, beyond what the policy gives. */
export interface Consistency {
  readonly level: ConsistencyLevel | undefined;
  readonly atLeast: Token | undefined;
}

export interface ReadRequest {
  /** The view that the answer belongs to, by which it may be purged. */
  readonly view: string;
  readonly key: string;
  readonly policy: CachePolicy;
  readonly consistency: Consistency;
  readonly load: () => Promise<Loaded>;
}

/** Why the cache did not answer by itself (RFC 9211 §2.2). */
export type ForwardReason = 'uri-miss' | 'stale' | 'bypass';

export interface CachedAnswer {
  readonly entry: Entry;
  readonly source:
    | { readonly hit: true; readonly tier: Tier['name'] }
    | { readonly hit: false; readonly forward: ForwardReason; readonly stored: boolean };
  /** Set where the answer is not known to keep the level's promise, with the reason. */
  readonly unverified: 'clock-unavailable' | 'origin-unavailable' | undefined;
  readonly ageS: number;
  readonly ttlS: number;
  /** Where the clock stood for this answer; absent while it cannot be reached. */
  readonly token: string | undefined;
}

export interface ReadThroughPorts {
  readonly follower: ClockFollower;
  readonly context: FollowerContext;
  /** Nearest first. */
  readonly tiers: readonly Tier[];
  readonly now: Now;
  readonly digest: (text: string) => Promise<string>;
}

/**
 * Answers from the nearest valid entry, else from the origin. A tier's word is never trusted: the clock's
 * mirror, made as fresh as the level asks, judges every entry. The stamp of a fill is taken before the origin
 * is read, so an invalidation that races with it leaves an entry that is stale from birth.
 *
 * @throws Failure `token_from_another_epoch`, `token_from_the_future`, or whatever the origin ends with when no
 *   entry may stand in for it.
 */
export async function readThrough(request: ReadRequest, ports: ReadThroughPorts): Promise<CachedAnswer> {
  const clockAway = await clockFailure(request, ports);
  const found = await lookUp(request, ports, clockAway !== undefined);
  if (found.usable !== undefined) return found.usable;
  if (clockAway !== undefined) return await fromOriginUnstored(request, ports);
  return await fill(request, ports, found.stale);
}

/** Makes the mirror as fresh as needed; returns the failure where the clock is out of reach. */
async function clockFailure(request: ReadRequest, ports: ReadThroughPorts): Promise<Failure | undefined> {
  const { policy, consistency } = request;
  const level = consistency.level ?? policy.level;
  const maxAgeMs = level === 'strong' ? 0 : policy.boundMs;
  const ticket = ports.follower.begin();
  try {
    await ports.follower.ensure({ maxAgeMs, atLeast: consistency.atLeast }, ticket, ports.context);
    return undefined;
  } catch (error) {
    if (error instanceof Failure && error.code === 'clock_unavailable') return error;
    throw error;
  }
}

interface Found {
  readonly usable: CachedAnswer | undefined;
  /** The newest entry that may not be served as it is. */
  readonly stale: Entry | undefined;
}

async function lookUp(request: ReadRequest, ports: ReadThroughPorts, clockAway: boolean): Promise<Found> {
  const { key, policy, consistency } = request;
  const { clock } = ports.follower.mirror;
  // Strong and session reads are promises about the clock: without it no entry can keep them.
  const level = consistency.level ?? policy.level;
  const mayBeUnverified =
    policy.whenUnverified === 'stale' && level !== 'strong' && consistency.atLeast === undefined;
  let stale: Entry | undefined;
  for (const [index, tier] of ports.tiers.entries()) {
    const entry = await tier.get(key);
    if (entry === undefined) continue;
    const fresh = secondsSince(entry.filledAt, ports.now()) < policy.ttlS;
    if (fresh && (clockAway ? mayBeUnverified : isValid(clock, entry, entry.slots))) {
      for (const nearer of ports.tiers.slice(0, index))
        ports.context.keepAlive(Promise.resolve(nearer.put(key, entry)));
      const unverified = clockAway ? 'clock-unavailable' : undefined;
      return { usable: answer(entry, { hit: true, tier: tier.name }, request, ports, unverified), stale };
    }
    if (stale === undefined || entry.filledAt > stale.filledAt) stale = entry;
  }
  return { usable: undefined, stale };
}

async function fill(
  request: ReadRequest,
  ports: ReadThroughPorts,
  stale: Entry | undefined,
): Promise<CachedAnswer> {
  const { key, policy } = request;
  // Copied before the read: the mirror moves on while the origin answers.
  const { epoch, seq: stamp } = ports.follower.mirror.clock;
  let entry: Entry;
  let storable: boolean;
  try {
    const loaded = await request.load();
    storable = loaded.storable;
    entry = await toEntry(loaded, request, { epoch, stamp }, ports);
  } catch (error) {
    const staleFor =
      stale === undefined ? Number.POSITIVE_INFINITY : secondsSince(stale.filledAt, ports.now());
    if (stale === undefined || staleFor > policy.staleIfErrorS || !isOutage(error)) throw error;
    return answer(
      stale,
      { hit: false, forward: 'stale', stored: false },
      request,
      ports,
      'origin-unavailable',
    );
  }
  if (storable)
    for (const tier of ports.tiers) ports.context.keepAlive(Promise.resolve(tier.put(key, entry)));
  const forward = stale === undefined ? 'uri-miss' : 'stale';
  return answer(entry, { hit: false, forward, stored: storable }, request, ports, undefined);
}

/** Correct without the clock, and not stored: there is no stamp to store it with. */
async function fromOriginUnstored(request: ReadRequest, ports: ReadThroughPorts): Promise<CachedAnswer> {
  const entry = await toEntry(await request.load(), request, { epoch: '', stamp: 0 }, ports);
  return answer(entry, { hit: false, forward: 'bypass', stored: false }, request, ports, 'clock-unavailable');
}

async function toEntry(
  { value, tags }: Loaded,
  { view, key }: ReadRequest,
  at: { epoch: string; stamp: number },
  ports: ReadThroughPorts,
): Promise<Entry> {
  const slots = slotsOf([...tags, ...purgeTags(view, key)]);
  if (slots.length > ENTRY_TAGS_MAX)
    throw new Error(`An answer depends on ${slots.length} tags; ${ENTRY_TAGS_MAX} are the most.`);
  const body = JSON.stringify(value);
  const etag = `"${(await ports.digest(body)).slice(0, 32)}"`;
  return { body, etag, slots, ...at, filledAt: ports.now() };
}

function answer(
  entry: Entry,
  source: CachedAnswer['source'],
  { policy }: ReadRequest,
  ports: ReadThroughPorts,
  unverified: CachedAnswer['unverified'],
): CachedAnswer {
  const ageS = secondsSince(entry.filledAt, ports.now());
  const { clock } = ports.follower.mirror;
  const token = unverified === undefined ? formatToken(clock) : undefined;
  return { entry, source, unverified, ageS, ttlS: policy.ttlS - ageS, token };
}

/** An origin that is down may be stood in for; a bug in a query may not hide behind old answers. */
function isOutage(error: unknown): boolean {
  return (
    error instanceof Failure && (error.code === 'database_unavailable' || error.code === 'model_unavailable')
  );
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - thenMs) / 1000));
}
