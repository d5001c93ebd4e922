/** The hit rate of served recommendations over a run, with what happened, as SVG that is readable on light and dark ground. */
import { WITHIN_S } from './fast-clock.ts';
import type { LearningRun } from './run.ts';

const BOX = { width: 920, height: 420, left: 60, right: 24, top: 60, bottom: 56 };
const INNER = { width: BOX.width - BOX.left - BOX.right, height: BOX.height - BOX.top - BOX.bottom };
/** The seconds of one point. */
const POINT_S = 5;
const POINT_READS_MIN = 5;
const TICK_S = 30;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .ground { fill: #ffffff; } .grid { stroke: #d0d7de; stroke-width: 1; }
  .mark { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 5 4; } .told { fill: #bc4c00; }
  .line { fill: none; stroke: #0969da; stroke-width: 2; } .dot { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; } .grid { stroke: #30363d; }
    .mark { stroke: #f0883e; } .told { fill: #f0883e; }
    .line { stroke: #58a6ff; } .dot { fill: #58a6ff; }
  }`;

interface Mark {
  readonly atS: number;
  readonly name: string;
}

export function plotOf(run: LearningRun): string {
  const points = pointsOf(run);
  const marks = marksOf(run);
  const from = Math.min(...points.map(([s]) => s), 0) - POINT_S;
  const to = Math.max(...points.map(([s]) => s), 0) + POINT_S;
  const x = (s: number) => rounded(BOX.left + ((s - from) / (to - from)) * INNER.width);
  const y = (rate: number) => rounded(BOX.top + (1 - rate) * INNER.height);
  const bottom = BOX.top + INNER.height;
  const ticks: number[] = [];
  for (let s = Math.ceil(from / TICK_S) * TICK_S; s <= to; s += TICK_S) ticks.push(s);
  const path = points.map(([s, rate]) => `${x(s)},${y(rate)}`).join(' ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${BOX.width} ${BOX.height}" role="img" aria-label="Hit rate of the served recommendations before, during and after a new season">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${BOX.width}" height="${BOX.height}"/>`,
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (rate) =>
        `<line class="grid" x1="${BOX.left}" y1="${y(rate)}" x2="${BOX.left + INNER.width}" y2="${y(rate)}"/><text text-anchor="end" x="${BOX.left - 8}" y="${y(rate) + 4}">${100 * rate} %</text>`,
    ),
    ...ticks.map((s) => `<text text-anchor="middle" x="${x(s)}" y="${bottom + 18}">${s}</text>`),
    `<text text-anchor="middle" x="${BOX.left + INNER.width / 2}" y="${bottom + 40}">seconds since the new season began; ${WITHIN_S} of them are four weeks of the shop</text>`,
    ...marks.map(({ atS, name }, at) => {
      const level = 16 + (at % 3) * 14;
      return `<line class="mark" x1="${x(atS)}" y1="${level + 3}" x2="${x(atS)}" y2="${bottom}"/><text class="told" x="${x(atS) + 3}" y="${level}">${name}</text>`;
    }),
    `<polyline class="line" points="${path}"/>`,
    ...points.map(([s, rate]) => `<circle class="dot" cx="${x(s)}" cy="${y(rate)}" r="2.5"/>`),
    '</svg>\n',
  ].join('\n');
}

/** Shares of hits by the seconds in which the answers were read; the last ones still wait for their purchases. */
function pointsOf({ reads, seasonAt }: LearningRun): [number, number][] {
  const last = Math.max(...reads.map(({ at }) => at)) - WITHIN_S * 1_000;
  const buckets = new Map<number, { hits: number; all: number }>();
  for (const { at, isHit } of reads) {
    if (at > last) continue;
    const bucket = Math.floor((at - seasonAt) / 1_000 / POINT_S);
    const { hits, all } = buckets.get(bucket) ?? { hits: 0, all: 0 };
    buckets.set(bucket, { hits: hits + (isHit ? 1 : 0), all: all + 1 });
  }
  return [...buckets]
    .filter(([, { all }]) => all >= POINT_READS_MIN)
    .sort(([a], [b]) => a - b)
    .map(([bucket, { hits, all }]) => [(bucket + 0.5) * POINT_S, hits / all]);
}

function marksOf({ happened, driftMs, championMs }: LearningRun): Mark[] {
  const atOf = (text: string) => happened.find(({ what }) => what.includes(text))?.atMs;
  const found: readonly (readonly [number | undefined, string])[] = [
    [0, 'new season'],
    [driftMs, 'drift seen'],
    [atOf('shadow'), 'shadow'],
    [atOf('canary'), 'canary'],
    [driftMs === undefined || championMs === undefined ? undefined : driftMs + championMs, 'champion'],
    [atOf('deliberately bad'), 'bad version'],
    [atOf('rolled_back'), 'rolled back'],
  ];
  return found.flatMap(([ms, name]) => (ms === undefined ? [] : [{ atS: ms / 1_000, name }]));
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
