import type { CounterSample } from '../../platform/counters.ts';

/** Checks of whether the pipeline keeps up, one a minute for each stage, by result: `kept_up` or `behind`. */
export const STREAM_CHECKS = 'millrace_stream_checks_total';

/**
 * - `clock`: every commit older than this has been invalidated at the root clock.
 * - `outbox`: the oldest change that is not relayed.
 * - `queue`: the oldest message of a queue of events or changes. The local platform does not know it, so there it is absent.
 */
export const STREAM_STAGES = ['clock', 'outbox', 'queue'] as const;
export type StreamStage = (typeof STREAM_STAGES)[number];

/**
 * Changes that waited in the outbox, added up over the checks. By the number of checks of that stage, the mean length in a
 * window; it is counted up to 100,000.
 */
export const OUTBOX_WAITING = 'millrace_outbox_waiting_total';

/** The oldest thing that waits in each stage, in milliseconds; undefined for a stage that did not answer. */
export type StreamAges = Readonly<Record<StreamStage, number | undefined>> & {
  /** How many changes wait in the outbox. */
  readonly outboxLength?: number | undefined;
};

/**
 * A stage is behind if something has waited longer, in milliseconds. The relay looks at the outbox every 10 s at the latest
 * while there are readers, and a queue's batch with its first retry ends within half a minute.
 */
export const BEHIND_MS = { clock: 30_000, outbox: 30_000, queue: 60_000 } as const satisfies Record<
  StreamStage,
  number
>;

/** The counts of one check. A stage that did not answer is not counted: the alert of that service reports it. */
export function streamCounts(ages: StreamAges): CounterSample[] {
  const checks = STREAM_STAGES.flatMap((stage): CounterSample[] => {
    const ageMs = ages[stage];
    if (ageMs === undefined) return [];
    const result = ageMs > BEHIND_MS[stage] ? 'behind' : 'kept_up';
    return [{ name: STREAM_CHECKS, labels: { result, stage }, value: 1 }];
  });
  const { outboxLength } = ages;
  if (outboxLength === undefined) return checks;
  return [...checks, { name: OUTBOX_WAITING, labels: {}, value: outboxLength }];
}
