import type { EventsMessage } from '../../../queues/events/message.ts';
import { type StoreOutcome, type StorePorts, storeMessages } from '../store.ts';
import type { LineageFacts } from './recorder.ts';

/** Reports the facts about some work for lineage. */
export type ReportLineage = (facts: LineageFacts) => void;

/** Prefix of the counts of refused events by reason: `quarantined:quantity_not_positive`. */
export const QUARANTINED = 'quarantined:';

/** Stores the events of some messages (`storeMessages`), and reports the outcome for lineage. */
export async function storeObserved(
  messages: readonly EventsMessage[],
  ports: StorePorts,
  report: ReportLineage,
): Promise<StoreOutcome> {
  const counts: Record<string, number> = {};
  const add = (name: string, by: number) => {
    if (by > 0) counts[name] = (counts[name] ?? 0) + by;
  };
  const reportRun = () => report({ job: 'ingest', subject: '', version: '', counts });
  const observed: StorePorts = {
    ...ports,
    storeEvents: async (events) => {
      const known = await ports.storeEvents(events);
      add('stored', events.length - known.length);
      return known;
    },
    keepRefused: async (refused) => {
      await ports.keepRefused(refused);
      for (const { reason } of refused) add(`${QUARANTINED}${reason}`, 1);
    },
  };
  try {
    const outcome = await storeMessages(messages, observed);
    add(
      'received',
      messages.reduce((sum, { accepted, refused }) => sum + accepted.length + refused.length, 0),
    );
    add('duplicates', outcome.duplicates.length);
    if (counts['received'] !== undefined) reportRun();
    return outcome;
  } catch (error) {
    add('failures', 1);
    reportRun();
    throw error;
  }
}

/** Folds events, and reports the number of events and of keys whose features they changed, for lineage. */
export async function foldObserved<Folded extends { readonly tags: readonly string[] }>(
  events: readonly { readonly seq: number }[],
  fold: () => Promise<Folded>,
  report: ReportLineage,
): Promise<Folded> {
  const run = { job: 'fold', subject: '', version: '' } as const;
  try {
    const folded = await fold();
    if (events.length > 0) {
      const seqs = events.map(({ seq }) => seq);
      const firstSeq = seqs.reduce((a, b) => Math.min(a, b));
      const lastSeq = seqs.reduce((a, b) => Math.max(a, b));
      report({
        ...run,
        counts: { events: events.length, keys: new Set(folded.tags).size },
        firstSeq,
        lastSeq,
      });
    }
    return folded;
  } catch (error) {
    report({ ...run, counts: { failures: 1 } });
    throw error;
  }
}
