/** The services that a report on a partition asks: the bridge three times, and the object that reads the partition. */
export const REPORT_PARTS = ['committed', 'earliest', 'latest', 'reader'] as const;
export type ReportPart = (typeof REPORT_PARTS)[number];

/** The state of a source partition, for operators. */
export interface PartitionReport {
  readonly topic: string;
  readonly partition: number;
  /** The group's committed offset; null before its first commit, or if `unanswered` names it. */
  readonly committed: number | null;
  /** The offset of the next record to be written; null if it was not answered. */
  readonly latest: number | null;
  /** Records that are not stored yet; null if one of the three offsets was not answered. */
  readonly lag: number | null;
  /** Consecutive failed steps of the reader; null if it did not answer. */
  readonly failures: number | null;
  readonly lastError: string | null;
  /** The parts of this report that did not answer in time, or failed. */
  readonly unanswered: readonly ReportPart[];
}

/** What was answered; a part that was not is absent. */
export interface PartitionAnswers {
  readonly committed?: { readonly offset: number | undefined } | undefined;
  readonly earliest?: { readonly offset: number | undefined } | undefined;
  readonly latest?: { readonly offset: number | undefined } | undefined;
  readonly reader?: { readonly failures: number; readonly lastError: string | null } | undefined;
}

export function reportOf(
  at: { readonly topic: string; readonly partition: number },
  answers: PartitionAnswers,
): PartitionReport {
  const { committed, earliest, latest, reader } = answers;
  return {
    ...at,
    committed: committed?.offset ?? null,
    latest: latest?.offset ?? null,
    lag: committed === undefined ? null : lagOf(committed.offset, earliest?.offset, latest?.offset),
    failures: reader?.failures ?? null,
    lastError: reader?.lastError ?? null,
    unanswered: REPORT_PARTS.filter((part) => answers[part] === undefined),
  };
}

function lagOf(
  committed: number | undefined,
  earliest: number | undefined,
  latest: number | undefined,
): number | null {
  if (earliest === undefined || latest === undefined) return null;
  // A committed offset beyond the partition's end belongs to a deleted topic: no record of this one has been read.
  const isOfThisTopic = committed !== undefined && committed <= latest;
  return latest - (isOfThisTopic ? Math.max(committed, earliest) : earliest);
}

/** The records of all partitions that are not stored yet; null without a partition, `unknown` if one did not answer. */
export function totalLag(partitions: readonly Pick<PartitionReport, 'lag'>[]): number | 'unknown' | null {
  if (partitions.length === 0) return null;
  let total = 0;
  for (const { lag } of partitions) {
    if (lag === null) return 'unknown';
    total += lag;
  }
  return total;
}
