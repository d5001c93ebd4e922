import * as z from 'zod';
import type { Regression } from './regressions.ts';
import { type Silence, silencing } from './silences.ts';
import type { ObjectiveStatus } from './watch.ts';

/**
 * What people are told before an alert: an objective whose budget will burn faster than it may, and a route, a view or a
 * service that has become slower or more expensive. A warning is told once. It has no end and opens no incident.
 */
export interface Warning {
  readonly name: 'MillraceBudgetWillBurn' | 'MillraceRegression';
  /** `objective`; or `of`, the name of a series, with `against`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

/** Where a reader finds what to do, in this repository. */
export const WARNINGS_PAGE = 'docs/alerts.md#early-warning';
/** A warning that was not found for a day is told again. */
const FORGOTTEN_MS = 24 * 3_600_000;
/** The most that are remembered, and told at once; series have names of a catalog, so there are no more in practice. */
const TOLD_MAX = 100;

/** By warning, when it was last found, in milliseconds since the Unix epoch. */
export const ToldWarnings = z.record(z.string(), z.int());
export type ToldWarnings = z.output<typeof ToldWarnings>;

/** What is to be warned of. */
export function warningsIn(
  objectives: readonly Pick<ObjectiveStatus, 'name' | 'burnsInMinutes'>[],
  regressions: readonly Regression[],
): Warning[] {
  const trends = objectives.flatMap(({ name, burnsInMinutes }): Warning[] => {
    if (burnsInMinutes === null) return [];
    const hours = (burnsInMinutes / 60).toPrecision(2);
    const summary = `The budget of ${name} will burn faster than it may in ${hours} h, if the trend of the last six hours goes on.`;
    return [{ name: 'MillraceBudgetWillBurn', labels: { objective: name }, summary }];
  });
  const worse = regressions.map(({ name, against, before, now }): Warning => {
    const than = against === 'deploy' ? 'before the newest deploy' : 'in the seven days before';
    const summary = `${name} takes ${unitOf(name, now)} in place of ${unitOf(name, before)} ${than}.`;
    return { name: 'MillraceRegression', labels: { of: name, against }, summary };
  });
  return [...trends, ...worse];
}

/** Series of views and services count reads and calls; the others are times of routes. */
function unitOf(name: string, value: number): string {
  const figure = value.toPrecision(3);
  if (name.startsWith('view ')) return `${figure} reads of the origin for an answer`;
  return name.startsWith('service ') ? `${figure} calls for a request` : `${figure} ms`;
}

/**
 * What nobody was told of yet. What a silence withholds is not told, and is still new when the silence ends.
 *
 * @returns the warnings to tell, and what is known after that.
 */
export function newWarnings(
  told: ToldWarnings,
  found: readonly Warning[],
  silences: readonly Silence[],
  nowMs: number,
): { readonly fresh: readonly Warning[]; readonly told: ToldWarnings } {
  const after = Object.fromEntries(Object.entries(told).filter(([, atMs]) => nowMs - atMs < FORGOTTEN_MS));
  const fresh: Warning[] = [];
  for (const warning of found) {
    const key = JSON.stringify([warning.name, ...Object.values(warning.labels)]);
    const isKnown = after[key] !== undefined;
    const labels = { alertname: warning.name, severity: 'ticket', ...warning.labels };
    if (
      !isKnown &&
      (silencing(silences, labels, nowMs) !== undefined || Object.keys(after).length >= TOLD_MAX)
    )
      continue;
    after[key] = nowMs;
    if (!isKnown) fresh.push(warning);
  }
  return { fresh, told: after };
}
