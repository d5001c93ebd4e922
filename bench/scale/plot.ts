/** Plots with two logarithmic axes as SVG, for documents: readable on light and on dark ground. */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Panel {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** A level that should not be passed. */
  readonly limit?: Limit;
}

interface Limit {
  readonly y: number;
  readonly name: string;
}

const PANEL = { width: 460, height: 340, left: 70, right: 20, top: 44, bottom: 52 };
const INNER_WIDTH = PANEL.width - PANEL.left - PANEL.right;
const INNER_HEIGHT = PANEL.height - PANEL.top - PANEL.bottom;
const COLUMNS = 2;
const LEGEND_HEIGHT = 40;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 14px; font-weight: 600; }
  .ground { fill: #ffffff; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .limit { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 6 4; }
    .line { fill: none; stroke-width: 2; }
  .s0 { stroke: #0969da; } .d0 { fill: #0969da; }
  .s1 { stroke: #bc4c00; } .d1 { fill: #bc4c00; }
  .s2 { stroke: #1a7f37; } .d2 { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .limit { stroke: #ff7b72; }
    .s0 { stroke: #58a6ff; } .d0 { fill: #58a6ff; }
    .s1 { stroke: #f0883e; } .d1 { fill: #f0883e; }
    .s2 { stroke: #56d364; } .d2 { fill: #56d364; }
  }`;

/** All panels with the legend of the first: what has the same place in each has to mean the same. */
export function plot(panels: readonly Panel[], description: string): string {
  const width = PANEL.width * COLUMNS;
  const height = PANEL.height * Math.ceil(panels.length / COLUMNS) + LEGEND_HEIGHT;
  const drawn = panels.map((panel, index) => {
    const x = (index % COLUMNS) * PANEL.width;
    const y = LEGEND_HEIGHT + Math.floor(index / COLUMNS) * PANEL.height;
    return `<g transform="translate(${x} ${y})">${panelOf(panel)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(description)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    legendOf(panels[0]?.series ?? [], panels[0]?.limit),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function legendOf(series: readonly Series[], limit: Limit | undefined): string {
  const entries = series.map(({ name }, index) => ({ name, style: `line s${index}` }));
  if (limit !== undefined) entries.push({ name: limit.name, style: 'limit' });
  return entries
    .map(({ name, style }, index) => {
      const x = PANEL.left + index * 150;
      return `<line class="${style}" x1="${x}" y1="24" x2="${x + 24}" y2="24"/><text x="${x + 32}" y="28">${escaped(name)}</text>`;
    })
    .join('\n');
}

function panelOf({ title, x, y, series, limit }: Panel): string {
  const points = series.flatMap((one) => one.points);
  const scaleX = logScale(points.map(([at]) => at));
  const scaleY = logScale([...points.map(([, at]) => at), ...(limit === undefined ? [] : [limit.y])]);
  const atX = (value: number) => rounded(PANEL.left + scaleX.part(value) * INNER_WIDTH);
  const atY = (value: number) => rounded(PANEL.top + (1 - scaleY.part(value)) * INNER_HEIGHT);
  const bottom = PANEL.top + INNER_HEIGHT;
  const right = PANEL.left + INNER_WIDTH;
  const parts = [
    `<text class="title" x="${PANEL.left}" y="${PANEL.top - 16}">${escaped(title)}</text>`,
    ...scaleX.ticks.map(
      (tick) =>
        `<line class="grid" x1="${atX(tick)}" y1="${PANEL.top}" x2="${atX(tick)}" y2="${bottom}"/><text text-anchor="middle" x="${atX(tick)}" y="${bottom + 18}">${short(tick)}</text>`,
    ),
    ...scaleY.ticks.map(
      (tick) =>
        `<line class="grid" x1="${PANEL.left}" y1="${atY(tick)}" x2="${right}" y2="${atY(tick)}"/><text text-anchor="end" x="${PANEL.left - 8}" y="${atY(tick) + 4}">${short(tick)}</text>`,
    ),
    `<text text-anchor="middle" x="${PANEL.left + INNER_WIDTH / 2}" y="${bottom + 40}">${escaped(x)}</text>`,
    `<text text-anchor="middle" transform="translate(18 ${PANEL.top + INNER_HEIGHT / 2}) rotate(-90)">${escaped(y)}</text>`,
  ];
  if (limit !== undefined) {
    const level = atY(limit.y);
    parts.push(`<line class="limit" x1="${PANEL.left}" y1="${level}" x2="${right}" y2="${level}"/>`);
  }
  for (const [index, { points: line }] of series.entries()) {
    const path = line.map(([px, py]) => `${atX(px)},${atY(py)}`).join(' ');
    parts.push(`<polyline class="line s${index}" points="${path}"/>`);
    for (const [px, py] of line)
      parts.push(`<circle class="d${index}" cx="${atX(px)}" cy="${atY(py)}" r="3"/>`);
  }
  return parts.join('\n');
}

/** Whole powers of ten around the values. */
function logScale(values: readonly number[]) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    part: (value: number) => (Math.log10(value) - low) / (high - low),
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
  };
}

function short(value: number): string {
  if (value >= 1e9) return `${value / 1e9}G`;
  if (value >= 1e6) return `${value / 1e6}M`;
  if (value >= 1e3) return `${value / 1e3}k`;
  return String(Number(value.toPrecision(2)));
}

const rounded = (value: number) => Math.round(value * 10) / 10;

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
