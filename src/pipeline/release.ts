import type { EventDefinition } from '../define/event.ts';
import type { QuarantinedEvent } from '../storage/postgres/quarantine.ts';
import { type IngestReport, ingest, type QueueItem, type Taken } from './ingest.ts';

export interface ReleasePorts {
  readonly types: ReadonlyMap<string, EventDefinition>;
  readonly read: (
    ids: readonly number[],
  ) => Promise<readonly (QuarantinedEvent & { readonly raw: unknown })[]>;
  /** Stores the accepted events, and keeps the refused ones in quarantine. */
  readonly take: (items: readonly QueueItem[], receivedAt: number) => Promise<Taken>;
  /** Closes the entries. */
  readonly resolve: (ids: readonly number[]) => Promise<void>;
}

/** The outcome for one event. `refused`: it broke a rule again, and stays open. */
export type Released =
  | { readonly id: number; readonly outcome: 'released' | 'duplicate' | 'not_found' | 'closed' }
  | {
      readonly id: number;
      readonly outcome: 'refused';
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
    };

/**
 * Judges quarantined events again, as they are or corrected, and stores those that pass. It closes those that are
 * stored, and those that had been stored before. Safe to repeat: it ignores closed events.
 *
 * @param corrected takes the place of the one event's raw form.
 */
export async function release(
  ids: readonly number[],
  corrected: unknown,
  now: number,
  ports: ReleasePorts,
): Promise<Released[]> {
  const kept = new Map((await ports.read(ids)).map((event) => [event.id, event]));
  const open = ids.flatMap((id) => {
    const event = kept.get(id);
    return event?.state === 'open' ? [event] : [];
  });
  const raw = open.map((event) => (corrected === undefined ? event.raw : corrected));
  const report = await ingest(raw, now, ports);
  const outcomes = new Map(open.map((event, index) => [event.id, outcomeOf(event.id, index, report)]));
  const closed = [...outcomes.values()].filter(({ outcome }) => outcome !== 'refused').map(({ id }) => id);
  if (closed.length > 0) await ports.resolve(closed);
  return ids.map((id) => outcomes.get(id) ?? { id, outcome: kept.has(id) ? 'closed' : 'not_found' });
}

function outcomeOf(id: number, index: number, { verdicts }: IngestReport): Released {
  const verdict = verdicts.find((candidate) => candidate.index === index);
  if (verdict === undefined) return { id, outcome: 'released' };
  if (verdict.verdict === 'duplicate') return { id, outcome: 'duplicate' };
  const { reason, pointer, detail } = verdict;
  return { id, outcome: 'refused', reason, pointer, detail };
}
