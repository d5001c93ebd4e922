import { sha256Hex } from '../../platform/digest.ts';
import type { LineageJob, RunTally } from '../../storage/postgres/lineage-runs.ts';

/**
 * The period of a run, in milliseconds. Millions of events make at most 1,440 runs a day and job, and a run is still
 * short enough to show the other events of the same minute.
 */
export const RUN_WINDOW_MS = 60_000;
/** How long a run stays open after its minute, in milliseconds: a transaction takes at most 10 s, then its isolate reports. */
const RUN_GRACE_MS = 30_000;
/** How many minutes back a sweep searches for events without a report. The cron or the database may have been down. */
const LOOK_BACK_MINUTES = 15;

/** Identifies a run within its minute. */
export interface RunKey {
  readonly job: Exclude<LineageJob, 'train' | 'registry'>;
  /** The model, or empty. */
  readonly subject: string;
  /** The model's version, or empty. */
  readonly version: string;
}

/** The window of a moment; all values are in milliseconds since the Unix epoch. */
export function windowOf(at: number): { readonly from: number; readonly to: number; readonly dueAt: number } {
  const from = Math.floor(at / RUN_WINDOW_MS) * RUN_WINDOW_MS;
  return { from, to: from + RUN_WINDOW_MS, dueAt: from + RUN_WINDOW_MS + RUN_GRACE_MS };
}

/** The id of the run of a moment. Every isolate computes the same id, so no look-up is needed. */
export async function windowRunId({ job, subject, version }: RunKey, at: number): Promise<string> {
  return uuidOf(await sha256Hex(JSON.stringify(['millrace-run', job, subject, version, windowOf(at).from])));
}

/** A UUID of version 8 (RFC 9562, §5.8) from the first 128 bits of a digest in hexadecimal. */
function uuidOf(digest: string): string {
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}${variant}${digest.slice(17, 32)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The run of a moment, without any reports. */
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

/** The ingest runs of the minutes that ended recently, even if they have no events. */
export async function endedIngestRuns(now: number): Promise<RunTally[]> {
  const newest = windowOf(now - RUN_WINDOW_MS - RUN_GRACE_MS).from;
  const minutes = Array.from({ length: LOOK_BACK_MINUTES }, (_, index) => newest - index * RUN_WINDOW_MS);
  return await Promise.all(minutes.map((at) => emptyRun({ job: 'ingest', subject: '', version: '' }, at)));
}

function timestamp(at: number): string {
  return new Date(at).toISOString();
}
