/** What a queue is for. */
const PURPOSES = ['events', 'events-bulk', 'changes', 'changes-bulk', 'sink', 'dead'] as const;
export type QueuePurpose = (typeof PURPOSES)[number];

/**
 * What a queue is for, by its name. A name ends with the purpose, and begins with whatever tells one environment from
 * another: `millrace-events-bulk`, `millrace-staging-events-bulk`.
 *
 * @returns undefined for a queue that is not Millrace's.
 */
export function purposeOf(queue: string): QueuePurpose | undefined {
  return PURPOSES.find((purpose) => queue.endsWith(`-${purpose}`));
}
