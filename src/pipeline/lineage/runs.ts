import { sha256Hex } from '../../platform/digest.ts';
import type { LineageJob, RunTally } from '../../storage/postgres/lineage-runs.ts';

/**
 * What a run covers, in milliseconds: millions of events make no more than 1,440 runs a day and job, and a run is
 * still short enough to find by it what went in beside an event.
 */
export const RUN_WINDOW_MS = 60_000;
/** How long after its minute a run stays open: a transaction takes 10 s at most, and then its isolate tells. */
const RUN_GRACE_MS = 30_000;
/** How many minutes back a sweep looks for events that nobody told of: cron, or the database, may have been away. */
const LOOK_BACK_MINUTES = 15;

/** What tells one run of a minute from another. */
export interface RunKey {
  readonly job: Exclude<LineageJob, 'train'>;
  /** The model, or empty. */
  readonly subject: string;
  /** The model's version, or empty. */
  readonly version: string;
}

/** The window that a moment belongs to; all in milliseconds since the Unix epoch. */
export function windowOf(at: number): { readonly from: number; readonly to: number; readonly dueAt: number } {
  const from = Math.floor(at / RUN_WINDOW_MS) * RUN_WINDOW_MS;
  return { from, to: from + RUN_WINDOW_MS, dueAt: from + RUN_WINDOW_MS + RUN_GRACE_MS };
}

/** The id of the run of a moment: the same for whoever asks, so that no look-up is needed to name it. */
export async function windowRunId({ job, subject, version }: RunKey, at: number): Promise<string> {
  return uuidOf(await sha256Hex(JSON.stringify(['millrace-run', job, subject, version, windowOf(at).from])));
}

/** A UUID of version 8 (RFC 9562, §5.8) from the first 128 bits of a digest in hexadecimal. */
function uuidOf(digest: string): string {
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}${variant}${digest.slice(17, 32)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The run of a moment with nothing told of it yet. */
export async function emptyRun(key: RunKey, at: number): Promise<RunTally> {
  const { from, to, dueAt } = windowOf(at);
  return {
    id: await windowRunId(key, at),
    ...key,
    startedAt: timestamp(at),
    windowFrom: timestamp(from),
    windowTo: timestamp(to),
    dueAt: timestamp(dueAt),
    firstSeq: null,
    lastSeq: null,
    counts: {},
  };
}

/** The ingest runs of the lately ended minutes, whether there are any or not. */
export async function endedIngestRuns(now: number): Promise<RunTally[]> {
  const newest = windowOf(now - RUN_WINDOW_MS - RUN_GRACE_MS).from;
  const minutes = Array.from({ length: LOOK_BACK_MINUTES }, (_, index) => newest - index * RUN_WINDOW_MS);
  return await Promise.all(minutes.map((at) => emptyRun({ job: 'ingest', subject: '', version: '' }, at)));
}

function timestamp(at: number): string {
  return new Date(at).toISOString();
}
