import { describe, expect, it } from 'vitest';
import { dashboardFiles } from '../../../scripts/monitoring/dashboards.ts';
import { DEFAULT_OBJECTIVES } from '../../../src/define/objectives.ts';
import { PROBE_SAMPLES } from '../../../src/operations/consistency.ts';
import { CACHE_ANSWERS, CACHE_FILLS } from '../../../src/operations/hit-ratio.ts';
import { metricsOf } from '../../../src/operations/metrics.ts';
import { LIMITED, LINEAGE_LOST, MODEL_RUNS, SERVED_LOGGED } from '../../../src/operations/observation.ts';
import { burning, PANELS } from '../../../src/operations/panels.ts';
import { QUALITY_CHECKS } from '../../../src/operations/quality/metrics.ts';
import { REQUEST_DURATIONS, REQUESTS } from '../../../src/operations/requests.ts';
import { DROPPED } from '../../../src/platform/counters.ts';
import { PEER_CALLS, PEER_DURATIONS } from '../../../src/platform/peer.ts';

/** The labels of what the worker counts. */
const COUNTED: Readonly<Record<string, readonly string[]>> = {
  [REQUESTS]: ['method', 'route', 'status'],
  [`${REQUEST_DURATIONS.histogram}_bucket`]: ['method', 'route', 'le'],
  [PEER_CALLS]: ['peer', 'outcome'],
  [`${PEER_DURATIONS.histogram}_bucket`]: ['peer', 'le'],
  [CACHE_ANSWERS]: ['view', 'outcome', 'tier', 'reason'],
  [CACHE_FILLS]: ['view', 'outcome'],
  [MODEL_RUNS]: ['model', 'tier'],
  [LIMITED]: ['budget', 'lane'],
  [LINEAGE_LOST]: ['what', 'reason'],
  [SERVED_LOGGED]: ['outcome'],
  [QUALITY_CHECKS]: ['dimension', 'result', 'rule', 'type'],
  [PROBE_SAMPLES]: ['verdict'],
  [DROPPED]: [],
};
const gauges = metricsOf({
  totals: [],
  windows: { 1: [], 5: [], 60: [] },
  isolates: { active: 0, memoryBytes: 0 },
}).map(({ name }) => name);
const GAUGE_LABELS = ['view', 'window'];

const panels = Object.values({ ...PANELS, burning: burning(DEFAULT_OBJECTIVES) });

describe('the dashboards of Grafana', () => {
  it.each(panels.flatMap(({ title, queries }) => queries.map(([expr]) => [title, expr] as const)))(
    '%s asks for series that the worker has: %s',
    (_, expr) => {
      const named = [...expr.matchAll(/millrace[a-z_:0-9]+/g)].map(([name]) => name);
      expect(named.length).toBeGreaterThan(0);
      const labels = [
        ...[...expr.matchAll(/([a-z_]+)(?:=~|!=|=)"/g)].map(([, label = '']) => label),
        ...[...expr.matchAll(/by \(([a-z_, ]+)\)/g)].flatMap(([, list = '']) => list.split(', ')),
      ];
      for (const name of named) {
        if (name.includes(':')) continue;
        const known = COUNTED[name] ?? (gauges.includes(name) ? GAUGE_LABELS : undefined);
        expect(known, name).toBeDefined();
        expect(labels.filter((label) => known?.includes(label) === false)).toEqual([]);
      }
    },
  );

  it('have panels that do not lie over each other, with ids of their own', () => {
    for (const text of Object.values(dashboardFiles(DEFAULT_OBJECTIVES))) {
      const { panels: placed } = JSON.parse(text);
      const ids = placed.map(({ id }: { id: number }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const cells = new Set<string>();
      for (const {
        gridPos: { x, y, w, h },
        type,
      } of placed) {
        if (type === 'row') continue;
        for (let column = x; column < x + w; column += 1)
          for (let line = y; line < y + h; line += 1) {
            expect(column).toBeLessThan(24);
            expect(cells.has(`${column},${line}`)).toBe(false);
            cells.add(`${column},${line}`);
          }
      }
    }
  });
});
