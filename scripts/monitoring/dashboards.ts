/**
 * Dashboards of Grafana over what `/metrics` has, by the typed builders of Grafana's own SDK. `src/operations/panels.ts` has
 * what they show.
 */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import { StackingConfigBuilder, StackingMode } from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as HeatmapBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Objective } from '../../src/define/objectives.ts';
import { burning, DASHBOARDS, PANELS, type PanelName, type PanelOf } from '../../src/operations/panels.ts';

/** The variable that names the Prometheus to ask: `${source}` in Grafana's own syntax. */
const SOURCE = { type: 'prometheus', uid: '$' + '{source}' };

/** The dashboards as files, by their names. */
export function dashboardFiles(objectives: readonly Objective[]): Record<string, string> {
  return Object.fromEntries(
    DASHBOARDS.map(({ uid, title, rows, hasObjectives }) => {
      const builder = new DashboardBuilder(title)
        .uid(uid)
        .description('Written by `npm run monitoring`; a change here is lost.')
        .tags(['millrace'])
        .readonly()
        .tooltip(DashboardCursorSync.Crosshair)
        .refresh('30s')
        .time({ from: 'now-6h', to: 'now' })
        .withVariable(new DatasourceVariableBuilder('source').label('Prometheus').type('prometheus'))
        .withVariable(routeVariable());
      const page = new Page(builder);
      if (hasObjectives && objectives.length > 0) page.addRow('Objectives', [burning(objectives)]);
      for (const [row, names] of Object.entries(rows) as [string, readonly PanelName[]][])
        page.addRow(
          row,
          names.map((name) => PANELS[name]),
        );
      return [`grafana/${uid}.json`, `${JSON.stringify(builder.build(), null, 2)}\n`];
    }),
  );
}

const COLUMNS = 24;
const HEIGHT = 8;

/** Places panels from left to right, in rows with a title. */
class Page {
  readonly #builder: DashboardBuilder;
  #id = 0;
  #y = 0;

  constructor(builder: DashboardBuilder) {
    this.#builder = builder;
  }

  addRow(title: string, panels: readonly PanelOf[]): void {
    this.#id += 1;
    this.#builder.withRow(new RowBuilder(title).id(this.#id).gridPos({ x: 0, y: this.#y, w: COLUMNS, h: 1 }));
    this.#y += 1;
    let x = 0;
    for (const panel of panels) {
      const w = panel.kind === 'number' ? COLUMNS / 3 : COLUMNS / 2;
      if (x + w > COLUMNS) {
        x = 0;
        this.#y += HEIGHT;
      }
      this.#id += 1;
      this.#builder.withPanel(panelOf(panel, this.#id).gridPos({ x, y: this.#y, w, h: HEIGHT }));
      x += w;
    }
    this.#y += HEIGHT;
  }
}

function routeVariable() {
  return new QueryVariableBuilder('route')
    .label('Route')
    .datasource(SOURCE)
    .query('label_values(millrace_http_requests_total, route)')
    .multi(true)
    .includeAll(true)
    .allValue('.*');
}

function queryOf(
  [expr, legend]: PanelOf['queries'][number],
  at: number,
  kind: PanelOf['kind'],
): Builder<Dataquery> {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode(65 + at))
    .expr(expr)
    .legendFormat(legend)
    .datasource(SOURCE);
  return kind === 'heat' ? query.format(PromQueryFormat.Heatmap) : query;
}

function panelOf({ kind, title, description, unit, queries }: PanelOf, id: number) {
  const builder =
    kind === 'number'
      ? new StatBuilder()
      : kind === 'heat'
        ? new HeatmapBuilder().calculate(false)
        : new TimeseriesBuilder();
  if (kind === 'stack' && builder instanceof TimeseriesBuilder)
    builder.fillOpacity(30).stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  builder.id(id).title(title).description(description).unit(unit).datasource(SOURCE);
  for (const [at, query] of queries.entries()) builder.withTarget(queryOf(query, at, kind));
  return builder;
}
