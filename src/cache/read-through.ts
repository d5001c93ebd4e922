import type { CachePolicy, ConsistencyLevel } from '../define/cache-policy.ts';
import type { Principal } from '../define/principal.ts';
import type { Loaded } from '../define/view.ts';
import type { Deadline } from '../platform/deadline.ts';
import { Failure } from '../platform/failure.ts';
import type { PhaseState, PhaseStates } from '../platform/phases.ts';
import { NO_SPAN, type Span, within } from '../platform/tracing/span.ts';
import { answerFrom, type CachedAnswer, type Doubt } from './cached-answer.ts';
import { isValid, type Token } from './clock/clock.ts';
import type { ClockFollower, FollowerContext, FreshnessNeed } from './clock/follower.ts';
import { oldestSourceAgeMs } from './clock/mirror.ts';
import { type Entry, entryOf } from './entry.ts';
import type { FillGatePort } from './fill-gate.ts';
import {
  type Decision,
  decide,
  grainAt,
  grainEndMs,
  mayStandIn,
  type ReadLevel,
  type TagVerdict,
} from './freshness.ts';
import { unlessAway } from './patience.ts';
import { cacheStateNow, phasesOf } from './phases.ts';
import { type RefreshPorts, refreshInBackground } from './refreshes.ts';
import { type Filled, type Flight, type RecentFills, singleFlight } from './single-flight.ts';
import type { Tier } from './tiers/tier.ts';

/** The consistency that the reader asks for; the policy supplies the rest. */
export interface Consistency {
  readonly level: ConsistencyLevel | undefined;
  readonly atLeast: Token | undefined;
}

export interface ReadRequest {
  /** Name of the view, which a purge may name. */
  readonly view: string;
  readonly key: string;
  /** The key shared by all variants of the answer, which a purge may name; defaults to `key`. */
  readonly purgeKey?: string;
  readonly policy: CachePolicy;
  readonly consistency: Consistency;
  /** The input as the view's schemas parsed it; absent if the answer cannot be computed again without the request. */
  readonly input?: unknown;
  readonly variant?: Readonly<Record<string, string>>;
  /** The reader's principal, if the answer depends on it; it is part of the key as well. */
  readonly principal?: Principal | undefined;
  /** Whose rows the answer shows, if it depends on that; null for all. It is part of the key as well. */
  readonly owner?: string | null | undefined;
  /** Length of the grain of time for which an answer holds, in milliseconds; undefined if it does not depend on time. */
  readonly grainMs?: number | undefined;
  /** When a stale entry that may stand in answers in place of a read that takes longer; absent for none. */
  readonly deadline?: Pick<Deadline, 'within'>;
  /** Called before the reader waits for the origin, its own read or that of another; its error is the reader's. */
  readonly beforeFill?: () => Promise<void>;
  /** Reads the origin as of `now`, in milliseconds since the Unix epoch; with grains, `now` is the start of one. `span` is the one of the fill. */
  readonly load: (now: number, span?: Span) => Promise<Loaded>;
}

export interface ReadThroughPorts extends RefreshPorts {
  readonly follower: ClockFollower;
  readonly context: FollowerContext;
  /** Nearest first. */
  readonly tiers: readonly Tier[];
  /** Returns the gate of a key, which all isolates share. */
  readonly gateOf: (key: string) => FillGatePort | undefined;
  /** The fills that this isolate has begun lately. */
  readonly recentFills: Pick<RecentFills, 'begin'>;
  readonly digest: (text: string) => Promise<string>;
  /** Resolves if the database answers at all. It may hang. */
  readonly pingOrigin: () => Promise<unknown>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called after every read of the origin that was to fill an entry. */
  readonly filled?: (view: string, outcome: FillOutcome) => void;
  /** Called after a read has refilled an entry that was invalidated. */
  readonly refilled?: (view: string, content: RefillContent) => void;
  /** The span of the read. */
  readonly span?: Span;
}

export type FillOutcome = 'ok' | 'failed';

/** Whether a refill of an invalidated entry had other content. If not, the invalidation was needless for it. */
export type RefillContent = 'changed' | 'unchanged';

/**
 * Answers from the nearest valid entry, else from the origin. The clock's mirror, made as fresh as the level demands,
 * validates every entry; the tiers themselves are not trusted. The stamp of a fill is taken before the origin is
 * read, so an invalidation that races with the read leaves an entry that is stale from the start.
 *
 * @throws Failure `token_from_another_epoch`, `token_from_the_future`, or the origin's error if no entry may stand in.
 */
export function readThrough(
  request: ReadRequest,
  ports: ReadThroughPorts,
): CachedAnswer | Promise<CachedAnswer> {
  return readFromMemory(request, ports) ?? readFurther(request, ports);
}

/**
 * The first step of `readThrough`: answers without waiting, if the mirror is fresh enough and the first tier has a valid
 * entry in memory.
 */
export function readFromMemory(request: ReadRequest, ports: ReadThroughPorts): CachedAnswer | undefined {
  const { key, policy } = request;
  const need = needOf(request);
  const nowMs = ports.time.now();
  if (!ports.follower.isReady(need, ports.context) || isSourceBehind(need, ports.follower, nowMs))
    return undefined;
  const cache = cacheStateNow(ports.follower, ports.context, need.maxAgeMs);
  if (cache === undefined || cache === 'off') return undefined;
  const [nearest] = ports.tiers;
  if (nearest === undefined || !policy.tiers.includes(nearest.name)) return undefined;
  const entry = nearest.get(key);
  if (entry === undefined || entry instanceof Promise) return undefined;
  if (!isValid(ports.follower.mirror.clock, entry, entry.tagHashes)) return undefined;
  if (nowMs >= grainEndMs(request.grainMs, entry)) return undefined;
  const question = { policy, level: levelOf(request), key, entry, tags: 'valid' } as const;
  const decision = decide(question, nowMs, ports.random());
  if (decision.serve !== 'fresh') return undefined;
  if (decision.refresh === 'background' && cache === 'on') refresh(request, ports, decision);
  return answer(entry, { hit: true, tier: nearest.name, stale: false }, request, ports, { decision });
}

/** The second step of `readThrough`. */
export async function readFurther(request: ReadRequest, ports: ReadThroughPorts): Promise<CachedAnswer> {
  const doubt = await doubtOf(request, ports);
  // A clock that has just not answered is not asked again.
  const isSilent = doubt === 'clock-unavailable';
  const { cache } = isSilent ? known(ports) : await phasesOf(ports.follower, ports.context, ports.time);
  const found = cache === 'off' ? NOTHING_FOUND : await lookUp(request, ports, doubt, cache);
  if (found.usable !== undefined) return found.usable;
  await request.beforeFill?.();
  if (doubt === 'clock-unavailable') return await fromOriginUnstored(request, ports, found.stale);
  return await fill(request, ports, found.stale, doubt, cache);
}

function known({ follower }: ReadThroughPorts): PhaseStates {
  return follower.mirror.clock.phases.states;
}

function levelOf({ policy, consistency }: ReadRequest): ReadLevel {
  const level = consistency.level ?? policy.level;
  return level !== 'strong' && consistency.atLeast !== undefined ? 'session' : level;
}

function needOf(request: ReadRequest): FreshnessNeed {
  const { policy, consistency } = request;
  const level = levelOf(request);
  return {
    maxAgeMs: level === 'strong' ? 0 : policy.boundMs,
    atLeast: consistency.atLeast,
    // Strong and session reads promise acknowledged invalidations only, which do not depend on watermarks.
    sourceMaxAgeMs: level === 'strong' || level === 'session' ? undefined : policy.sourceBoundMs,
  };
}

function isSourceBehind(
  { sourceMaxAgeMs }: FreshnessNeed,
  { mirror }: ClockFollower,
  nowMs: number,
): boolean {
  if (sourceMaxAgeMs === undefined) return false;
  return oldestSourceAgeMs(mirror.completeUntilMs, nowMs) > sourceMaxAgeMs;
}

/** Makes the mirror as fresh as needed; returns the doubt that is left, if any. */
async function doubtOf(request: ReadRequest, ports: ReadThroughPorts): Promise<Doubt | undefined> {
  const { follower, context } = ports;
  const need = needOf(request);
  const ticket = follower.begin();
  try {
    await follower.ensure(need, ticket, context);
  } catch (error) {
    if (error instanceof Failure && error.code === 'clock_unavailable') return 'clock-unavailable';
    throw error;
  }
  return isSourceBehind(need, follower, ports.time.now()) ? 'source-behind' : undefined;
}

/** An entry that was rejected, with the verdict on its tags. */
interface Stale {
  readonly entry: Entry;
  readonly tags: TagVerdict;
}

interface Found {
  readonly usable: CachedAnswer | undefined;
  /** The newest rejected entry. */
  readonly stale: Stale | undefined;
}

const NOTHING_FOUND: Found = { usable: undefined, stale: undefined };

async function lookUp(
  request: ReadRequest,
  ports: ReadThroughPorts,
  doubt: Doubt | undefined,
  cache: Exclude<PhaseState, 'off'>,
): Promise<Found> {
  const { key, policy } = request;
  const level = levelOf(request);
  const tiers = tiersOf(request, ports);
  let stale: Stale | undefined;
  for (const [index, tier] of tiers.entries()) {
    const entry = await tier.get(key);
    if (entry === undefined) continue;
    const tags = verdictOn(entry, request, ports, doubt);
    const decision = decide({ policy, level, key, entry, tags }, ports.time.now(), ports.random());
    const isOn = cache === 'on';
    // Without refreshes, a stale answer would be the same for ever.
    if (decision.serve === 'no' || (decision.serve === 'stale' && !isOn)) {
      if (stale === undefined || entry.filledAt > stale.entry.filledAt) stale = { entry, tags };
      continue;
    }
    for (const nearer of isOn ? tiers.slice(0, index) : [])
      ports.context.keepAlive(Promise.resolve(nearer.put(key, entry)));
    if (decision.refresh === 'background' && isOn) refresh(request, ports, decision);
    const source = { hit: true, tier: tier.name, stale: decision.serve === 'stale' } as const;
    // A stale answer to an `eventual` reader is marked as stale, so it needs no other mark.
    const unverified = tags === 'unverified' ? doubt : undefined;
    return { usable: answer(entry, source, request, ports, { decision, unverified }), stale };
  }
  return { usable: undefined, stale };
}

function tiersOf({ policy }: ReadRequest, { tiers }: ReadThroughPorts): Tier[] {
  return tiers.filter(({ name }) => policy.tiers.includes(name));
}

function verdictOn(
  entry: Entry,
  { policy, grainMs }: ReadRequest,
  { follower, time }: ReadThroughPorts,
  doubt: Doubt | undefined,
): TagVerdict {
  const { clock } = follower.mirror;
  if (time.now() >= grainEndMs(grainMs, entry)) return 'invalidated';
  // A mirror that has never synced has no verdict. The last verdict of any other mirror against an entry stands.
  if (clock.epoch !== '' && !isValid(clock, entry, entry.tagHashes)) return 'invalidated';
  if (doubt === undefined) return 'valid';
  return policy.whenUnverified === 'stale' ? 'unverified' : 'invalidated';
}

function refresh(request: ReadRequest, ports: ReadThroughPorts, { serve }: Decision): void {
  const what = { key: request.key, isAhead: serve === 'fresh' };
  refreshInBackground(what, () => fill(request, ports, undefined, undefined, 'on'), ports);
}

async function fill(
  request: ReadRequest,
  ports: ReadThroughPorts,
  stale: Stale | undefined,
  doubt: 'source-behind' | undefined,
  cache: PhaseState,
): Promise<CachedAnswer> {
  const { key, policy, grainMs } = request;
  // The entry has to reflect every invalidation that this reader's mirror knows of now.
  const { epoch, seq: minStamp } = ports.follower.mirror.clock;
  const grain = grainMs === undefined ? {} : { minNow: grainAt(grainMs, ports.time.now()) };
  // Its reader is owed commits that no mirror may know of, if they are older than both bounds together.
  const age = doubt === undefined ? {} : { maxReadAgeMs: policy.boundMs + policy.sourceBoundMs };
  const { time, context } = ports;
  const isBegun = ports.recentFills.begin(key, time.now());
  // A refresh fills a key that a tier has.
  const isContended = isBegun || stale !== undefined || ports.refreshing.has(key);
  const gate = policy.singleFlight && isContended ? ports.gateOf(key) : undefined;
  const read = () => readCounted(request, ports);
  const wanted = { epoch, minStamp, ...grain, ...age };
  const isStoring = cache === 'on';
  const filling = isStoring
    ? singleFlight(gate, wanted, read, { time, keepAlive: context.keepAlive }).then((flight) =>
        kept(flight, request, ports),
      )
    : read().then((filled): Flight => ({ ...filled, storable: false, shared: false }));
  const missed = stale === undefined ? 'uri-miss' : 'stale';
  const forward = isStoring ? missed : 'bypass';
  const because = isStoring ? doubt : (`phase-${cache}` as const);
  const filled = ({ entry, storable, shared: collapsed }: Flight) => {
    if (stale?.tags === 'invalidated' && !collapsed)
      ports.refilled?.(request.view, entry.etag === stale.entry.etag ? 'unchanged' : 'changed');
    return answer(entry, { hit: false, forward, stored: storable, collapsed, because }, request, ports, {});
  };
  return await unlessStandIn(filling, stale, request, ports, filled);
}

/** The answer of a read of the origin, or of a stale entry if the origin is away. */
async function unlessStandIn<T extends Pick<Filled, 'isDegraded'>>(
  reading: Promise<T>,
  stale: Stale | undefined,
  request: ReadRequest,
  ports: ReadThroughPorts,
  answered: (read: T) => CachedAnswer,
): Promise<CachedAnswer> {
  const standIn = standInOf(request, stale, ports.time.now());
  if (standIn === undefined) return answered(await reading);
  const inTime = request.deadline?.within(reading) ?? reading;
  const read = await unlessAway(inTime, ports.pingOrigin, ports.time);
  if (read !== undefined && read.isDegraded !== true) return answered(read);
  ports.context.keepAlive(reading.catch(() => undefined));
  return standingIn(standIn, request, ports);
}

/** The answer of a stale entry, marked as one. */
function standingIn(entry: Entry, request: ReadRequest, ports: ReadThroughPorts): CachedAnswer {
  const source = { hit: false, forward: 'stale', stored: false, collapsed: false } as const;
  return answer(entry, source, request, ports, { unverified: 'origin-unavailable' });
}

/**
 * The entry in memory that may stand in for an answer that cannot be made in time, however fresh it is; undefined if there
 * is none. It does not wait for anything.
 */
export function standInFromMemory(request: ReadRequest, ports: ReadThroughPorts): CachedAnswer | undefined {
  const [nearest] = known(ports).cache === 'off' ? [] : tiersOf(request, ports);
  const entry = nearest?.name === 'memory' ? nearest.get(request.key) : undefined;
  if (entry === undefined || entry instanceof Promise) return undefined;
  const tags = verdictOn(entry, request, ports, undefined);
  const standIn = standInOf(request, { entry, tags }, ports.time.now());
  return standIn === undefined ? undefined : standingIn(standIn, request, ports);
}

/** The entry that may be the answer if the origin is away. */
function standInOf(request: ReadRequest, stale: Stale | undefined, nowMs: number): Entry | undefined {
  if (stale === undefined) return undefined;
  const { policy, key } = request;
  return mayStandIn({ policy, level: levelOf(request), key, ...stale }, nowMs) ? stale.entry : undefined;
}

/** Stores the result of a fill in the tiers. */
function kept(flight: Flight, request: ReadRequest, ports: ReadThroughPorts): Flight {
  const { entry, storable } = flight;
  if (!storable) return flight;
  for (const tier of tiersOf(request, ports))
    ports.context.keepAlive(Promise.resolve(tier.put(request.key, entry)));
  return flight;
}

/** Answers from the origin without storing: the answer is correct without the clock, but there is no stamp for it. */
async function fromOriginUnstored(
  request: ReadRequest,
  ports: ReadThroughPorts,
  stale: Stale | undefined,
): Promise<CachedAnswer> {
  const now = grainAt(request.grainMs, ports.time.now());
  const at = { epoch: '', stamp: 0, fillMs: 0, now };
  const reading = request.load(now).then(async (loaded) => ({
    entry: await entryOf(loaded, request, at, ports),
    isDegraded: loaded.isDegraded,
  }));
  const source = { hit: false, forward: 'bypass', stored: false, collapsed: false } as const;
  return await unlessStandIn(reading, stale, request, ports, ({ entry }) =>
    answer(entry, source, request, ports, { unverified: 'clock-unavailable' }),
  );
}

async function readCounted(request: ReadRequest, ports: ReadThroughPorts): Promise<Filled> {
  try {
    const read = await readOrigin(request, ports);
    ports.filled?.(request.view, 'ok');
    return read;
  } catch (error) {
    ports.filled?.(request.view, 'failed');
    throw error;
  }
}

/** Reads the origin. The stamp is copied first, because the mirror may advance while the origin answers. */
async function readOrigin(request: ReadRequest, ports: ReadThroughPorts): Promise<Filled> {
  const { epoch, seq: stamp } = ports.follower.mirror.clock;
  const startedAt = ports.time.now();
  const now = grainAt(request.grainMs, startedAt);
  const of = { name: `fill ${request.view}` };
  const loaded = await within(ports.span ?? NO_SPAN, of, (span) => request.load(now, span));
  const fillMs = Math.max(0, ports.time.now() - startedAt);
  return {
    entry: await entryOf(loaded, request, { epoch, stamp, fillMs, now }, ports),
    storable: loaded.storable,
    isDegraded: loaded.isDegraded,
  };
}

/** The answer as of now. */
function answer(
  entry: Entry,
  source: CachedAnswer['source'],
  request: ReadRequest,
  { follower, time }: ReadThroughPorts,
  how: Parameters<typeof answerFrom>[5],
): CachedAnswer {
  const { policy, grainMs } = request;
  const asked = { level: levelOf(request), policy, grainMs };
  return answerFrom(entry, source, asked, follower.mirror, time.now(), how);
}
