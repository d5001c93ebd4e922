import type { ImportResult } from './run.ts';
import type { ImportState } from './state.ts';

/** The totals of an import over all its runs, one per line. */
export function summarise(state: ImportState): string {
  const reasons = Object.entries(state.quarantined).sort(
    ([reason, lines], [otherReason, otherLines]) => otherLines - lines || (reason < otherReason ? -1 : 1),
  );
  const quarantined = reasons.reduce((sum, [, lines]) => sum + lines, 0);
  const rows: [string, string][] = [
    ['lines', count(state.acknowledged)],
    ['  stored', count(state.stored)],
    ['  known before', count(state.known)],
    ...(state.unclear > 0 ? [['  stored or known', count(state.unclear)] satisfies [string, string]] : []),
    ['  in quarantine', count(quarantined)],
    ...reasons.map(([reason, lines]): [string, string] => [`    ${reason}`, count(lines)]),
    ...(state.retries > 0 ? [['retries', count(state.retries)] satisfies [string, string]] : []),
  ];
  if (state.shiftMs !== null)
    rows.push(['times moved by', `${(state.shiftMs / 86_400_000).toFixed(2)} days`]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value.padStart(12)}`).join('\n');
}

/** How long this run took until its lines were sent, stored, and counted by the features. */
export function describeTimes({ state, sentMs, storedMs, linesOfRun, folding }: ImportResult): string {
  const rate = storedMs > 0 ? Math.round((linesOfRun / storedMs) * 1000) : 0;
  const features =
    folding === null ? '' : `, counted by the features after ${seconds(storedMs + folding.ms)}`;
  const times = `sent after ${seconds(sentMs)}, stored after ${seconds(storedMs)}${features}; ${count(rate)} lines/s until stored`;
  if (linesOfRun === state.acknowledged) return `All lines: ${times}.`;
  return `${count(linesOfRun)} lines of this run: ${times}. All runs took ${seconds(state.elapsedMs)} until stored.`;
}

/** What the features lack; null if they have counted everything. */
export function describeUnfolded({ folding }: ImportResult): string | null {
  if (folding === null || (folding.pending === 0 && folding.unfolded === 0)) return null;
  return `All lines are stored, but the features have not counted ${count(folding.unfolded)} events yet, and ${count(folding.pending)} changes wait to be relayed. If the server was stopped in between, the changes in its queues are lost: npm run cli -- replay --rebuild counts the whole history again.`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
