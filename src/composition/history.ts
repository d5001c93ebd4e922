import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import type { Catalog } from '../define/catalog.ts';
import type { HistoryPort } from '../features/join-history.ts';
import { asCurrent, withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { readRecorded } from '../storage/postgres/history.ts';
import { readPruned } from '../storage/postgres/retention.ts';

/** The history of a database, as joins with past moments read it. */
export function historyOf(db: NeonHttpDatabase, { eventTypes }: Catalog): HistoryPort {
  return {
    read: async ({ types, ...range }, page) => {
      const all = { ...range, types: withEarlierVersions(eventTypes, types) };
      const { events, next } = await guarded(() => readRecorded(db, all, page));
      return { events: events.map((event) => asCurrent(eventTypes, event)), next };
    },
    pruned: () => guarded(() => readPruned(db)),
  };
}
