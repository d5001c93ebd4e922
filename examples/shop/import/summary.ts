import type { ImportState } from './state.ts';

/** What came of an import over all its runs, one fact per line. */
export function summarise(state: ImportState): string {
  const reasons = Object.entries(state.quarantined).sort(
    ([reason, lines], [otherReason, otherLines]) => otherLines - lines || (reason < otherReason ? -1 : 1),
  );
  const quarantined = reasons.reduce((sum, [, lines]) => sum + lines, 0);
  const seconds = state.elapsedMs / 1000;
  const rows: [string, string][] = [
    ['lines', count(state.acknowledged)],
    ['accepted', count(state.accepted)],
    ...(state.duplicates > 0 ? [['known before', count(state.duplicates)] satisfies [string, string]] : []),
    ['quarantined', count(quarantined)],
    ...reasons.map(([reason, lines]): [string, string] => [`  ${reason}`, count(lines)]),
    ['retries', count(state.retries)],
    ['seconds', seconds.toFixed(1)],
    ['lines/s', count(seconds > 0 ? Math.round(state.acknowledged / seconds) : 0)],
  ];
  if (state.shiftMs !== null)
    rows.push(['times moved by', `${(state.shiftMs / 86_400_000).toFixed(2)} days`]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value.padStart(12)}`).join('\n');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
