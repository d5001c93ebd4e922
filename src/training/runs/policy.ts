import type { RetrainingPolicy } from '../../define/retraining.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Why a run was begun. */
export const RUN_REASONS = ['events', 'schedule', 'hand', 'drift'] as const;
export type RunReason = (typeof RUN_REASONS)[number];

/** What is known of a model's newest run. */
export interface NewestRun {
  readonly begunMs: number;
  readonly isActive: boolean;
}

/**
 * Whether a run may begin for a reason other than by hand: one run of a model at a time, and the next one `debounceMinutes`
 * after the last one began, whatever became of it.
 */
export function mayBegin(
  { debounceMinutes }: Pick<RetrainingPolicy, 'debounceMinutes'>,
  newest: NewestRun | undefined,
  nowMs: number,
): boolean {
  if (newest === undefined) return true;
  return !newest.isActive && nowMs - newest.begunMs >= debounceMinutes * MINUTE_MS;
}

/** Whether a run is due by the time that has passed since the last one began. */
export function isScheduled(
  { everyDays }: Pick<RetrainingPolicy, 'everyDays'>,
  newest: NewestRun | undefined,
  nowMs: number,
): boolean {
  return everyDays !== undefined && nowMs - (newest?.begunMs ?? 0) >= everyDays * DAY_MS;
}
