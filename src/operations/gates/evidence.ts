import type { Catalog } from '../../define/catalog.ts';
import type { StateOfVersion } from '../../features/version-states.ts';
import type { CounterReport } from '../../platform/counters.ts';
import type { PipelineFigures } from '../../training/runs/gates.ts';
import type { ObjectiveStatus } from '../alerts/watch.ts';
import type { Check } from '../diagnosis-rules.ts';

/** A fact, or why it is not known. */
export type Known<T> = { readonly value: T } | { readonly unknown: string };

/** The operations of this deployment, against the routes that it answers. */
export interface InventoryFacts {
  readonly operations: number;
  /** Routes that the OpenAPI document lacks: method and path. */
  readonly undocumented: readonly string[];
  /** Operations without an id, a summary, or the schema of a success. */
  readonly incomplete: readonly string[];
}

/** An event as it is stored. */
export interface StoredEvent {
  readonly type: string;
  readonly data: unknown;
}

/** What the gates are judged by. Each part comes from one source. */
export interface GateEvidence {
  /** The checks of the diagnosis. */
  readonly checks: readonly Check[];
  readonly waiting: Pick<PipelineFigures, 'deadLetters' | 'waitingChanges'>;
  readonly kafkaLag: PipelineFigures['kafkaLag'];
  readonly quality: {
    /** As the gates of a training measure it. */
    readonly lowest: PipelineFigures['quality'];
    /** The types of which events were scored and stored at some time. */
    readonly scored: readonly string[];
  };
  readonly history: PipelineFigures['history'];
  /** The events that were stored last, the newest first. */
  readonly newest: readonly StoredEvent[];
  /** The types of a larger number of the newest events: those that a history was made of are in no score. */
  readonly stored: readonly string[];
  readonly counters: CounterReport;
  readonly objectives: readonly ObjectiveStatus[];
  readonly features: readonly StateOfVersion[];
}
export type Source = keyof GateEvidence;

/** The evidence as far as it is known, with what the deployment declares. */
export type KnownEvidence = {
  readonly [Name in Source]: Known<GateEvidence[Name]>;
} & { readonly catalog: Catalog; readonly inventory: InventoryFacts };
