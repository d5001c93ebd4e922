/**
 * Watermarks: the time up to which all commits of a source have been invalidated. They bound staleness against the
 * commit at the source, and not only against the invalidation, even if events are lost.
 *
 * A watermark is an age, never a timestamp. The root notes the time on its own clock when a pass over a source is
 * opened. The pass reads what is pending and invalidates it. When the pass is closed, everything that was committed
 * before its opening has been invalidated. No clocks of two machines are compared.
 */

/** The outbox of the database. Every view depends on it. */
export const OUTBOX = 'outbox';

/** The most sources of a clock: the outbox and a few topic partitions. Each adds some bytes to every sync. */
export const SOURCES_MAX = 64;
const SOURCE_NAME_MAX = 64;

/** The age of each source's watermark, in milliseconds. */
export type SourceAges = Readonly<Record<string, number>>;

/** An open pass over a source. The caller hands it back to the root unchanged. */
export interface SourcePass {
  readonly source: string;
  /** The root's incarnation at the opening. After a restart, `openedAtMs` cannot be compared with the root's clock. */
  readonly incarnation: string;
  readonly openedAtMs: number;
}

/** The root's watermarks, in memory only. After a restart every source is unknown until its next pass. */
export interface Watermarks {
  readonly incarnation: string;
  readonly completeUntilMs: Map<string, number>;
}

export function newWatermarks(incarnation: string): Watermarks {
  return { incarnation, completeUntilMs: new Map() };
}

/** Call this before the source is read. Throws a RangeError for an empty name or one that is too long. */
export function openPass(watermarks: Watermarks, source: string, nowMs: number): SourcePass {
  if (source.length === 0 || source.length > SOURCE_NAME_MAX)
    throw new RangeError(
      `A source's name has 1 to ${SOURCE_NAME_MAX} characters; '${source}' has ${source.length}.`,
    );
  return { source, incarnation: watermarks.incarnation, openedAtMs: nowMs };
}

/** Call this once everything that the pass found is invalidated. Never close a pass that failed. */
export function closePass(watermarks: Watermarks, pass: SourcePass): void {
  const { incarnation, completeUntilMs } = watermarks;
  if (pass.incarnation !== incarnation) return;
  if (completeUntilMs.size >= SOURCES_MAX && !completeUntilMs.has(pass.source))
    throw new RangeError(`A clock has at most ${SOURCES_MAX} sources; '${pass.source}' is one too many.`);
  // A pass that ends late never lowers the watermark of a later pass.
  const known = completeUntilMs.get(pass.source) ?? Number.NEGATIVE_INFINITY;
  completeUntilMs.set(pass.source, Math.max(known, pass.openedAtMs));
}

/** Voids the watermark of a source with a gap until a pass has replayed the source. */
export function dropSource(watermarks: Watermarks, source: string): void {
  watermarks.completeUntilMs.set(source, Number.NEGATIVE_INFINITY);
}

export function sourceAges(completeUntilMs: ReadonlyMap<string, number>, nowMs: number): SourceAges {
  return Object.fromEntries(
    [...completeUntilMs].map(([source, atMs]) => [source, Math.max(0, nowMs - atMs)]),
  );
}
