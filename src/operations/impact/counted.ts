import type { Catalog } from '../../define/catalog.ts';
import type { Objective } from '../../define/objectives.ts';
import type { DurationNames } from '../../platform/durations.ts';
import { measureOf } from '../alerts/indicators.ts';
import { alertOf, alertRulesOf } from '../alerts/rules.ts';
import { isMatch, type Selector } from '../alerts/selectors.ts';
import { STREAM_CHECKS } from '../alerts/stream-checks.ts';
import { PROBE_SAMPLES } from '../consistency.ts';
import { CACHE_ANSWERS, CACHE_FILLS } from '../hit-ratio.ts';
import { FEATURE_VALUES, MODEL_RUNS, PREDICTIONS, REFILLS, SKEW_CHECKS } from '../observation.ts';
import { DASHBOARDS, PANELS, type PanelOf } from '../panels.ts';
import { QUALITY_CHECKS } from '../quality/metrics.ts';
import { REQUEST_DURATIONS, REQUESTS } from '../requests.ts';
import { type ImpactGraph, idOf } from './graph.ts';

/** A route of the API, as the inventory has it. */
export interface RouteFacts {
  readonly method: string;
  /** With parameters in braces. */
  readonly path: string;
  /** The declaration that it comes from: `view products`; null for a route of Millrace's own. */
  readonly declaredBy: string | null;
  readonly cost: string;
  /** The scope that a key needs; null if no key is needed. */
  readonly scope: string | null;
}

/** A counter that one element adds to. */
interface Counted {
  readonly id: string;
  readonly name: string;
  /** The labels that are known; any other may have any value. */
  readonly labels: Readonly<Record<string, string>>;
}

export function routeName({ method, path }: Pick<RouteFacts, 'method' | 'path'>): string {
  return `${method} ${path}`;
}

/** What counts the elements of the graph: objectives with their alerts, metrics, and the dashboards that show them. */
export function addCounted(graph: ImpactGraph, catalog: Catalog, routes: readonly RouteFacts[]): void {
  const counted = countedBy(catalog, routes);
  const { objectives } = catalog;
  for (const { id, name } of counted) {
    const metric = graph.node('metric', shownName(name));
    graph.edge(id, 'measures', metric);
  }
  const alerts = new Set(
    alertRulesOf(objectives).flatMap((rule) => (rule.kind === 'burn' ? [rule.alertname] : [])),
  );
  for (const objective of objectives) {
    const id = graph.node('objective', objective.name, objective.description);
    for (const one of counted) if (counts(objective, one)) graph.edge(one.id, 'measures', id);
    const alert = alertOf(objective);
    if (alerts.has(alert)) graph.edge(id, 'alerts on', graph.node('alert', alert, objective.description));
  }
  for (const { uid, title, rows, hasObjectives } of DASHBOARDS) {
    const id = graph.node('dashboard', uid, title);
    if (hasObjectives) for (const { name } of objectives) graph.edge(idOf('objective', name), 'shows', id);
    for (const panel of Object.values<readonly (keyof typeof PANELS)[]>(rows).flat())
      for (const name of metricsOf(PANELS[panel])) {
        const metric = idOf('metric', name);
        if (graph.nodes.has(metric)) graph.edge(metric, 'shows', id);
      }
  }
}

/** The metrics that a panel asks for, by the names of the text format without the suffixes of histograms. */
export function metricsOf({ queries }: PanelOf): string[] {
  const names = queries.flatMap(([expr]) => [...expr.matchAll(/\bmillrace_\w+/g)].map(([name]) => name));
  return [...new Set(names.map((name) => DERIVED[name] ?? name.replace(/_(bucket|sum|count)$/, '')))];
}

/** Figures that are computed from a counter. */
const DERIVED: Readonly<Record<string, string>> = {
  millrace_cache_hit_ratio: CACHE_ANSWERS,
  millrace_consistency_inconsistent: PROBE_SAMPLES,
};

/** The name of the text format: that of a histogram for the counter of its buckets. */
function shownName(name: string): string {
  return HISTOGRAMS.find(({ bucket }) => bucket === name)?.histogram ?? name;
}

const HISTOGRAMS: readonly DurationNames[] = [REQUEST_DURATIONS];

/** Whether an objective may count what an element adds to. */
function counts({ indicator }: Objective, counted: Counted): boolean {
  const measure = measureOf(indicator);
  return measure.kind === 'share'
    ? mayCount(measure.all, counted)
    : mayCount({ name: measure.durations.bucket, labels: measure.labels }, counted);
}

function mayCount({ name, labels = {} }: Selector, counted: Counted): boolean {
  if (name !== counted.name) return false;
  return Object.entries(labels).every(([label, matcher]) => {
    const value = counted.labels[label];
    return value === undefined || isMatch(matcher, value);
  });
}

/** The counters that each element adds to, with its labels. */
function countedBy({ views, models, events, features }: Catalog, routes: readonly RouteFacts[]): Counted[] {
  return [
    ...routes.flatMap((route) => {
      const { method, path } = route;
      const id = idOf('route', routeName(route));
      return [REQUESTS, REQUEST_DURATIONS.bucket].map((name) => ({
        id,
        name,
        labels: { method, route: path },
      }));
    }),
    ...views.flatMap((view) => ofView(idOf('view', view.name), view.name)),
    ...models.flatMap(({ name, path }) => [
      // The answers at a model's path are cached as those of a view are, under the model's name.
      ...(path === undefined ? [] : ofView(idOf('model', name), name)),
      ...[MODEL_RUNS, PREDICTIONS, SKEW_CHECKS].map((counter) => ({
        ...{ id: idOf('model', name), name: counter, labels: { model: name } },
      })),
    ]),
    ...events.flatMap(({ name, type }) => [
      { id: idOf('event', name), name: QUALITY_CHECKS, labels: { type } },
      { id: idOf('event', name), name: STREAM_CHECKS, labels: {} },
    ]),
    ...features.map(({ entity, name }) => ({
      ...{
        id: idOf('feature', `${entity.name}.${name}`),
        name: FEATURE_VALUES,
        labels: { entity: entity.name },
      },
    })),
  ];
}

function ofView(id: string, view: string): Counted[] {
  return [CACHE_ANSWERS, CACHE_FILLS, REFILLS, PROBE_SAMPLES].map((name) => ({ id, name, labels: { view } }));
}
