/**
 * What a complete pipeline has. Each item counts the same. Those with a `check` are judged by the diagnosis
 * (`diagnosis-rules.ts`), and are done if its verdict is `ok`.
 */
export interface ChecklistItem {
  readonly item: string;
  readonly check?: string;
}

export const DEAD_LETTERS_ITEM = 'no message is left that no consumer could handle';
export const ARRIVED_ITEM = 'events of every declared type have arrived';

export const PIPELINE_CHECKLIST: readonly ChecklistItem[] = [
  { item: 'the database answers', check: 'database' },
  { item: "all migrations of Millrace's tables are applied", check: 'migrations' },
  { item: 'the database has every declared table and column', check: 'tables' },
  { item: 'changes by other writers are captured', check: 'capture' },
  { item: 'the tag clock answers, and follows the outbox', check: 'clock' },
  { item: 'the relay works', check: 'relay' },
  { item: 'the work of each minute is done', check: 'cron' },
  { item: 'no queue is behind', check: 'queues' },
  { item: 'no change waits in the outbox for long', check: 'outbox' },
  { item: 'no refused event is open', check: 'quarantine' },
  { item: DEAD_LETTERS_ITEM },
  { item: ARRIVED_ITEM },
];

/** The shares of the checklist that the two gates of the pipeline need. */
export const PIPELINE_SHARES = { pipeline_85: 0.85, pipeline_100: 1 } as const;
