import type { Catalog } from '../catalog.ts';
import { BURST_S_MAX, BURST_S_MIN, PER_SECOND_MAX, PER_SECOND_MIN } from '../limits.ts';
import type { Report } from '../problem.ts';

/** Checks that the limits of senders are within the ranges of the buckets. */
export function checkLimits({ limits }: Catalog, report: Report): void {
  const { classes, ...budgets } = limits;
  for (const [name, limit] of [...Object.entries(budgets), ...Object.entries(classes)]) {
    if (limit === undefined) continue;
    const { perSecond, burstS } = limit;
    if (!(perSecond >= PER_SECOND_MIN && perSecond <= PER_SECOND_MAX))
      report(
        limits,
        'limits',
        `"${name}" has ${perSecond} units a second.`,
        `Give it ${PER_SECOND_MIN} to ${PER_SECOND_MAX}, or set the variable LIMITS to "off".`,
      );
    if (!(burstS >= BURST_S_MIN && burstS <= BURST_S_MAX))
      report(
        limits,
        'limits',
        `"${name}" has a burst of ${burstS} seconds.`,
        `Give it ${BURST_S_MIN} to ${BURST_S_MAX} seconds.`,
      );
  }
}
