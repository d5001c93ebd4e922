/**
 * Watermarks: up to when everything that a source committed has been invalidated. With them, staleness is bounded
 * against the commit at the source and not only against the invalidation, even where events are lost.
 *
 * A watermark is an age and never a timestamp: the root notes on its own clock when a pass over a source was
 * opened, the pass then reads what is pending and invalidates it, and when it is closed, everything that was
 * committed before the opening has been invalidated. So no two clocks are compared.
 */

/** The outbox of the database: every view depends on it. */
export const OUTBOX = 'outbox';

/** The most sources of a clock: the outbox, and a few topics' partitions. Each takes some bytes of every sync. */
export const SOURCES_MAX = 64;
const SOURCE_NAME_MAX = 64;

/** For each source the age of its watermark, in milliseconds. */
export type SourceAges = Readonly<Record<string, number>>;

/** A pass over a source that has been opened and not yet closed; handed back to the root as it is. */
export interface SourcePass {
  readonly source: string;
  /** The root's, at its opening: a pass from before a restart says nothing on this machine's clock. */
  readonly incarnation: string;
  readonly openedAtMs: number;
}

/** The root's watermarks, in memory alone: after a restart every source is unknown until its next pass. */
export interface Watermarks {
  readonly incarnation: string;
  readonly completeUntilMs: Map<string, number>;
}

export function newWatermarks(incarnation: string): Watermarks {
  return { incarnation, completeUntilMs: new Map() };
}

/** To be called before the source is read. Throws a RangeError for a name that is too long. */
export function openPass(watermarks: Watermarks, source: string, nowMs: number): SourcePass {
  if (source.length === 0 || source.length > SOURCE_NAME_MAX)
    throw new RangeError(`A source's name has 1 to ${SOURCE_NAME_MAX} characters.`);
  return { source, incarnation: watermarks.incarnation, openedAtMs: nowMs };
}

/** To be called once everything that the pass found is invalidated. A pass that failed is never closed. */
export function closePass(watermarks: Watermarks, pass: SourcePass): void {
  const { incarnation, completeUntilMs } = watermarks;
  if (pass.incarnation !== incarnation) return;
  if (completeUntilMs.size >= SOURCES_MAX && !completeUntilMs.has(pass.source))
    throw new RangeError(`A clock has at most ${SOURCES_MAX} sources.`);
  // A pass that ends late never lowers what a later one has told.
  const known = completeUntilMs.get(pass.source) ?? Number.NEGATIVE_INFINITY;
  completeUntilMs.set(pass.source, Math.max(known, pass.openedAtMs));
}

/** A gap in a source: what it has told before counts no longer, until a pass has replayed it. */
export function dropSource(watermarks: Watermarks, source: string): void {
  watermarks.completeUntilMs.set(source, Number.NEGATIVE_INFINITY);
}

export function sourceAges(completeUntilMs: ReadonlyMap<string, number>, nowMs: number): SourceAges {
  return Object.fromEntries(
    [...completeUntilMs].map(([source, atMs]) => [source, Math.max(0, nowMs - atMs)]),
  );
}
