import type { DatasetSpec } from './spec.ts';

/**
 * - `counting`, `building`: it is being made, or waits for another one to be made.
 * - `ready`: all files are stored. - `failed`: it cannot be made. - `deleting`: its files are being deleted.
 */
export const DATASET_STATES = ['counting', 'building', 'ready', 'failed', 'deleting'] as const;
export type DatasetState = (typeof DATASET_STATES)[number];

/** A dataset as its readers see it. All moments are in milliseconds since the Unix epoch. */
export interface DatasetReport {
  readonly id: string;
  readonly spec: DatasetSpec;
  readonly state: DatasetState;
  readonly begunMs: number;
  readonly endedMs: number | null;
  readonly failure: { readonly code: string; readonly detail: string } | null;
  readonly progress: {
    /** Label events that were counted. */
    readonly labelEvents: number;
    readonly parts: number;
    readonly partsMade: number;
    readonly rows: number;
    readonly bytes: number;
  };
}
