import { encodeDelta } from '../../src/cache/clock/delta.ts';
import {
  ASK_AGAIN_MS_MAX,
  ASK_AGAIN_MS_MIN,
  ROOT_ASK_AGAIN_MS_MAX,
  SYNCS_PER_SECOND_TARGET,
} from '../../src/cache/clock/pace.ts';
import { seededRandom } from '../../src/platform/random.ts';
import { median } from '../support/load.ts';
import {
  answerBytes,
  type Cost,
  clockAfter,
  EPOCH,
  ISOLATE_TO_REGION_MS,
  type Load,
  pushBytes,
  REGION_TO_ROOT_MS,
} from './load.ts';
import { poisson } from './random.ts';

const RUNS_OF_THE_RULE = 200;
const SAMPLES = 40;
const SAMPLES_OF_MANY = 9;
const INVALIDATIONS_SAMPLED_MAX = 20_000;

/** How the rules might be otherwise, to see what moves the load. */
export interface Knobs {
  /** The longest pause of the regions, in milliseconds: `ROOT_ASK_AGAIN_MS_MAX` as it is. */
  readonly rootPauseMsMax: number;
  /** The shortest time from one push to a region to the next, in milliseconds; 0 as it is. */
  readonly pushPauseMs: number;
}

export const AS_IT_IS: Knobs = { rootPauseMsMax: ROOT_ASK_AGAIN_MS_MAX, pushPauseMs: 0 };

/** What a delta of some invalidations weighs, and how long the sender takes to write it. */
export interface DeltaCost {
  readonly bytes: number;
  readonly encodeMs: number;
}

export interface Prediction extends Cost {
  /** How long regions, and the isolates of a region, are asked to wait, in milliseconds. */
  readonly rootPauseMs: number;
  readonly regionPauseMs: number;
  /** Processor time that deltas take at the root and at a region, of one second; of this machine. */
  readonly rootEncodeS: number;
  readonly regionEncodeS: number;
}

/**
 * The load in its steady state, in formulas over means:
 *
 * - A mirror asks again after the pause that its parent asks for (or the journey, if that takes longer), plus the
 *   mean time until the next read: for readers at random moments, one over their rate.
 * - The pause is what `countSync` settles at.
 * - A push to a region follows the one before after a journey there and back, and after one over the rate of
 *   invalidations where none is waiting then.
 * - An isolate's answer brings what was invalidated between two of its syncs; a region's, what happened since the
 *   last push that has arrived, or the last sync where that is newer.
 * - Bytes are those of real deltas with so many invalidations.
 */
export function predict(load: Load, deltas: DeltaCosts, knobs: Knobs = AS_IT_IS): Prediction {
  const { regions, isolates, readsPerSecond, invalidationsPerSecond, tags } = load;
  const perMs = invalidationsPerSecond / 1_000;
  const isolate = settle(
    isolates / regions,
    ISOLATE_TO_REGION_MS * 2,
    1_000 / readsPerSecond,
    ASK_AGAIN_MS_MAX,
  );
  const journeyMs = REGION_TO_ROOT_MS * 2;
  const region = settle(regions, journeyMs, 1_000 / isolate.perSecond, knobs.rootPauseMsMax);
  const push = pushes(perMs, Math.max(journeyMs, knobs.pushPauseMs), region.intervalMs);
  const unknownMs = meanOfLesser(journeyMs, push.delayMs, region.intervalMs);
  const ofSync = deltas.of(perMs * unknownMs, tags);
  const ofPush = deltas.of(push.invalidations, tags);
  const ofIsolate = deltas.of(perMs * isolate.intervalMs, tags);
  const rootPushes = push.perSecond * regions;
  return {
    rootSyncs: region.perSecond,
    rootPushes,
    rootBytes: region.perSecond * (ANSWER_BYTES + ofSync.bytes) + rootPushes * (PUSH_BYTES + ofPush.bytes),
    regionSyncs: isolate.perSecond,
    regionBytes: isolate.perSecond * (ANSWER_BYTES + ofIsolate.bytes),
    rootPauseMs: region.pauseMs,
    regionPauseMs: isolate.pauseMs,
    rootEncodeS: (region.perSecond * ofSync.encodeMs + rootPushes * ofPush.encodeMs) / 1_000,
    regionEncodeS: (isolate.perSecond * ofIsolate.encodeMs) / 1_000,
  };
}

/** What is sent beside the delta, in bytes. */
const EMPTY = {
  epoch: EPOCH,
  seq: 1_000_000,
  sinceSeq: 1_000_000,
  floorSeq: 980_000,
  changes: new Uint8Array(0),
};
const ANSWER_BYTES = answerBytes({ ...EMPTY, ageMs: 300, askAgainMs: 200, sources: { outbox: 1_000 } });
const PUSH_BYTES = pushBytes(EMPTY);

/** A clock whose mirrors follow its pace: how long it has them wait, and how often it is asked. */
function settle(mirrors: number, journeyMs: number, waitMs: number, pauseMsMax: number) {
  const intervalAt = (pauseMs: number) => Math.max(pauseMs, journeyMs) + waitMs;
  let pauseMs = ASK_AGAIN_MS_MIN;
  for (let run = 0; run < RUNS_OF_THE_RULE; run += 1) {
    const perSecond = (mirrors * 1_000) / intervalAt(pauseMs);
    const wanted = (pauseMs * perSecond) / SYNCS_PER_SECOND_TARGET;
    pauseMs = Math.min(pauseMsMax, Math.max(ASK_AGAIN_MS_MIN, wanted));
  }
  const intervalMs = intervalAt(pauseMs);
  return { pauseMs, intervalMs, perSecond: (mirrors * 1_000) / intervalMs };
}

/**
 * Pushes to one region. When one has arrived, those invalidations are waiting that came since it was sent, and
 * since the region's last sync, which brought the earlier ones.
 */
function pushes(perMs: number, busyMs: number, syncIntervalMs: number) {
  const seenMs = Math.min(busyMs, syncIntervalMs);
  const upToThere = (1 - Math.exp(-perMs * seenMs)) / perMs;
  const noSyncMs = syncIntervalMs - seenMs;
  const quiet = (upToThere + noSyncMs * Math.exp(-perMs * seenMs)) / syncIntervalMs;
  const waitingMs = (seenMs ** 2 / 2 + noSyncMs * seenMs) / syncIntervalMs;
  return {
    perSecond: 1_000 / (busyMs + quiet / perMs),
    /** Invalidations in one push. */
    invalidations: quiet + perMs * waitingMs,
    /** How long an invalidation may wait for the push before, at most. */
    delayMs: busyMs * (1 - quiet),
  };
}

/** The mean of the lesser of `least + u` and `cap`, where u is anything from 0 to `spread`. */
function meanOfLesser(least: number, spread: number, cap: number): number {
  if (cap <= least) return cap;
  const below = Math.min(spread, cap - least);
  if (spread === 0) return least;
  return ((least + below / 2) * below + cap * (spread - below)) / spread;
}

/** Real deltas, made once for each number of invalidations. */
export class DeltaCosts {
  readonly #known = new Map<string, DeltaCost>();
  readonly #random = seededRandom(11);

  /** The mean over samples with `invalidations` on average, at random. */
  of(invalidations: number, tags: number): DeltaCost {
    const key = `${invalidations.toPrecision(3)}/${tags}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#sample(Math.min(invalidations, INVALIDATIONS_SAMPLED_MAX), tags);
    this.#known.set(key, made);
    return made;
  }

  #sample(mean: number, tags: number): DeltaCost {
    const samples = mean > 100 ? SAMPLES_OF_MANY : SAMPLES;
    let bytes = 0;
    const encodesMs: number[] = [];
    for (let sample = 0; sample < samples; sample += 1) {
      const [clock, since] = clockAfter(poisson(mean, this.#random), tags, this.#random);
      const startedAt = performance.now();
      const delta = encodeDelta(clock, since);
      encodesMs.push(performance.now() - startedAt);
      bytes += delta.changes.byteLength;
    }
    // The median: a mean would also include the machine's other work.
    return { bytes: bytes / samples, encodeMs: median(encodesMs) };
  }
}
