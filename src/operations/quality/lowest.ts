import type { EventDefinition } from '../../define/event.ts';
import type { QualityCounts, WindowName } from '../../pipeline/quality/windows.ts';
import { QUALITY_EVENTS_MIN, qualityReportOf } from './report.ts';

/** The windows of the gates of trainings and phases; the first with enough events counts. */
const QUALITY_WINDOWS: readonly WindowName[] = ['24h', '7d'];

/** The lowest score of all types and of each type with enough events; null if no window has enough. */
export function lowestQuality(
  counts: QualityCounts,
  eventTypes: ReadonlyMap<string, EventDefinition>,
): { readonly window: WindowName; readonly events: number; readonly score: number } | null {
  const report = qualityReportOf(counts, eventTypes, { windows: QUALITY_WINDOWS });
  for (const window of QUALITY_WINDOWS) {
    const found = report.windows[window];
    if (found === undefined || found.events < QUALITY_EVENTS_MIN) continue;
    const scores = [found, ...Object.values(found.types)].flatMap(({ events, score }) =>
      events < QUALITY_EVENTS_MIN || score === null ? [] : [score],
    );
    if (scores.length > 0) return { window, events: found.events, score: Math.min(...scores) };
  }
  return null;
}
