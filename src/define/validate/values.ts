import type { Catalog } from '../catalog.ts';
import type { FeatureDefinition } from '../feature.ts';
import { tiledWindow, WINDOWS_ALLOWED } from '../feature-window.ts';
import type { Report } from '../problem.ts';

/** A century. A longer window means the whole history, for which a feature without windows exists. */
const WINDOW_DAYS_MAX = 36_500;
/** The most items of one feature, because every answer reads all of them. */
const ITEMS_MAX = 1_000;
/** As many values as a window counts exactly. */
const FREQUENT_MAX = 32;
/** As many places as a 64-bit whole number has. */
const DECIMALS_MAX = 18;

/** Checks that numbers are within the ranges of the folds, the cache and retention. */
export function checkValues(catalog: Catalog, report: Report): void {
  for (const feature of catalog.features) checkFeature(feature, report);
  for (const view of catalog.views) {
    const named = `view "${view.name}"`;
    const { boundMs, tiers } = view.policy;
    if (!(Number.isFinite(boundMs) && boundMs >= 0))
      report(view, named, `Its bound is ${boundMs} ms.`, '`boundMs` is 0 or more.');
    if (tiers.length === 0)
      report(view, named, 'No tier holds its answers.', "Name at least one of 'memory', 'colo' and 'kv'.");
    if (new Set(tiers).size !== tiers.length)
      report(view, named, 'It names one tier twice.', 'Leave one of them out.');
  }
  const { events, ...spans } = catalog.retention;
  for (const [target, days] of [...Object.entries(events), ...Object.entries(spans)])
    if (days !== undefined && !(Number.isInteger(days) && days >= 1))
      report(
        catalog.retention,
        'retention policy',
        `"${target}" is kept for ${days} days.`,
        'Keep it for 1 or more whole days.',
      );
  for (const type of Object.keys(events))
    if (!catalog.eventTypes.has(type))
      report(
        catalog.retention,
        'retention policy',
        `It names the event type "${type}", which the catalog does not declare.`,
        'Name a type with its version, e.g. ride.v1.',
      );
}

function checkFeature(feature: FeatureDefinition, report: Report): void {
  const named = `feature "${feature.name}"`;
  for (const days of feature.windowsDays)
    if (!isWithin(days, 1, WINDOW_DAYS_MAX))
      report(
        feature,
        named,
        `A window cannot have ${days} days.`,
        `A window has 1 to ${WINDOW_DAYS_MAX} whole days.`,
      );
  if (new Set(feature.windowsDays).size !== feature.windowsDays.length)
    report(feature, named, 'It names one window twice.', 'Leave one of them out.');
  if (feature.aggregate === 'items' && !isWithin(feature.limit, 1, ITEMS_MAX))
    report(feature, named, `It reads ${feature.limit} items.`, `Read 1 to ${ITEMS_MAX}.`);
  if (feature.aggregate === 'most_frequent' && !isWithin(feature.limit, 1, FREQUENT_MAX))
    report(feature, named, `It reads ${feature.limit} values.`, `Read 1 to ${FREQUENT_MAX}.`);
  for (const window of feature.windows)
    if (tiledWindow(window) === undefined)
      report(feature, named, `A window cannot be "${window}".`, `A window is ${WINDOWS_ALLOWED}.`);
  if (new Set(feature.windows).size !== feature.windows.length)
    report(feature, named, 'It names one window twice.', 'Leave one of them out.');
  const { numbers } = feature;
  if (typeof numbers === 'object' && !isWithin(numbers.decimals, 0, DECIMALS_MAX))
    report(feature, named, `It has ${numbers.decimals} decimals.`, `Numbers have 0 to ${DECIMALS_MAX}.`);
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
