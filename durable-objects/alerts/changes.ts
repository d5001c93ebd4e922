import type { TimelineEntry } from '../../src/operations/incidents/incident.ts';
import type { Incidents } from './incidents.ts';

/** How long before an incident a change may be its cause, in milliseconds. */
const BEFORE_MS = 3_600_000;
/** The pause between two readings while an incident goes on, in milliseconds. */
const EVERY_MS = 300_000;
/** How long after its end the changes of an incident are still sought: the database may have been away. */
const AFTER_MS = 86_400_000;
/** Incidents whose changes are read in one evaluation. */
const READ_MAX = 2;
const RECENT = 20;

/** What people and models changed between two moments. */
export type ChangesBetween = (
  fromMs: number,
  toMs: number,
) => Promise<readonly (TimelineEntry & { readonly key: string })[]>;

/** Adds what the audit log has to the timelines of incidents that go on, or whose end is not read yet. */
export async function readChanges(
  incidents: Incidents,
  changes: ChangesBetween,
  nowMs: number,
): Promise<void> {
  const due = incidents.list({ limit: RECENT }).filter(({ changesMs, resolvedMs }) => {
    if (resolvedMs === null) return changesMs === null || nowMs - changesMs >= EVERY_MS;
    return nowMs - resolvedMs <= AFTER_MS && (changesMs ?? 0) < resolvedMs;
  });
  for (const { id, openedMs, changesMs, resolvedMs } of due.slice(0, READ_MAX)) {
    const toMs = resolvedMs ?? nowMs;
    try {
      const found = await changes(changesMs ?? openedMs - BEFORE_MS, toMs);
      for (const { key, ...entry } of found) incidents.note(id, entry, key);
      const incident = incidents.find(id)?.incident;
      if (incident !== undefined) incidents.put({ ...incident, changesMs: toMs });
    } catch {
      // The database does not answer; the next evaluation reads them.
      return;
    }
  }
}
