/** Draws panels: lines and stacks by uPlot, and how requests spread over durations as cells. */
import uPlot from 'uplot';
import { element } from '../show.ts';
import { count } from './format.ts';
import { type Chart, type Heat, type Line, summaryOf, type Tone } from './panels.ts';
import { type Counts, timesOf, totalOf } from './series.ts';

const HEIGHT = 190;
const SVG = 'http://www.w3.org/2000/svg';
/** The most rows of a panel's table: the newest steps. */
const TABLE_ROWS_MAX = 24;

/** The colour of a tone in the theme of the moment. */
function colourOf(tone: Tone | 'line' | 'muted'): string {
  return getComputedStyle(document.documentElement)
    .getPropertyValue(`--${tone === 'line' || tone === 'muted' ? tone : `tone-${tone}`}`)
    .trim();
}

/** A drawn panel; `destroy` frees what it holds. */
export interface Drawn {
  readonly node: HTMLElement;
  readonly destroy: () => void;
}

/** @param width in CSS pixels. */
export function draw(drawn: Chart | Heat, counts: Counts, width: number): Drawn {
  return drawn.kind === 'heat' ? heat(drawn, counts, width) : chart(drawn, counts, width);
}

function chart(drawn: Chart, counts: Counts, width: number): Drawn {
  const node = element('div', { class: 'chart', role: 'img', 'aria-label': summaryOf(drawn) });
  if (drawn.lines.length === 0) {
    node.append(element('p', { class: 'nothing' }, 'Nothing was counted in this time.'));
    return { node, destroy: () => {} };
  }
  const isStack = drawn.kind === 'stack';
  const shown = isStack ? stacked(drawn.lines) : drawn.lines.map(({ values }) => values);
  const axis = {
    stroke: colourOf('muted'),
    grid: { stroke: colourOf('line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  };
  const plot = new uPlot(
    {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { show: false } },
      scales: { y: { range: (_, __, max) => [0, drawn.max ?? (max > 0 ? max * 1.1 : 1)] } },
      axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => drawn.format(tick)) }],
      series: [
        {},
        // The greatest sum of a stack is drawn first, and the others over it.
        ...order(drawn, isStack).map(({ name, tone }) => ({
          label: name,
          stroke: colourOf(tone),
          width: 1.75,
          points: { show: false },
          ...(isStack ? { fill: `${colourOf(tone)}66` } : {}),
        })),
      ],
    },
    [timesOf(counts), ...(isStack ? shown.toReversed() : shown)].map((values) => [
      ...values,
    ]) as uPlot.AlignedData,
    node,
  );
  const readout = element('p', { class: 'readout', 'aria-hidden': 'true' });
  plot.over.addEventListener('pointermove', () => {
    const step = plot.cursor.idx;
    readout.textContent = step == null ? '' : readoutOf(drawn, counts, step);
  });
  plot.over.addEventListener('pointerleave', () => {
    readout.textContent = '';
  });
  node.append(readout, legend(drawn.lines));
  return { node, destroy: () => plot.destroy() };
}

function order(drawn: Chart, isStack: boolean): readonly Line[] {
  return isStack ? drawn.lines.toReversed() : drawn.lines;
}

/** Each line with the sum of those below it. */
function stacked(lines: readonly Line[]): (number | null)[][] {
  const below = new Array<number>(lines[0]?.values.length ?? 0).fill(0);
  return lines.map(({ values }) =>
    values.map((value, step) => {
      if (value === null) return null;
      below[step] = (below[step] ?? 0) + value;
      return below[step] ?? 0;
    }),
  );
}

function readoutOf({ lines, format }: Chart, counts: Counts, step: number): string {
  const values = lines.map(({ name, values }) => {
    const value = values[step];
    return `${name} ${value == null ? '–' : format(value)}`;
  });
  return `${moment(counts, step)}: ${values.join(', ')}`;
}

function legend(lines: readonly Line[]): HTMLElement {
  return element(
    'ul',
    { class: 'legend', 'aria-hidden': 'true' },
    ...lines.map(({ name, tone }) => element('li', { class: `tone-${tone}` }, name)),
  );
}

function heat({ rows }: Heat, counts: Counts, width: number): Drawn {
  const node = element('div', {
    class: 'chart heat',
    role: 'img',
    'aria-label': summaryOf({ kind: 'heat', rows }),
  });
  const most = Math.max(0, ...rows.flatMap(({ values }) => values));
  if (most === 0) {
    node.append(element('p', { class: 'nothing' }, 'No request was counted in this time.'));
    return { node, destroy: () => {} };
  }
  const [left, bottom] = [64, 20];
  const high = (HEIGHT - bottom) / rows.length;
  const wide = (width - left) / counts.steps;
  const svg = svgElement('svg', { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` });
  for (const [at, { name, values }] of rows.entries()) {
    const y = (rows.length - 1 - at) * high;
    svg.append(svgText(name, left - 6, y + high / 2 + 4, 'end'));
    for (const [step, value] of values.entries()) {
      if (value === 0) continue;
      const cell = svgElement('rect', {
        ...{ x: left + step * wide, y: y + 0.5, width: Math.max(wide - 0.5, 0.5), height: high - 1 },
        // By the logarithm: one slow request among thousands is seen.
        'fill-opacity': (0.15 + (0.85 * Math.log1p(value)) / Math.log1p(most)).toFixed(3),
      });
      const title = svgElement('title', {});
      title.textContent = `${moment(counts, step)}: ${count(value)} requests, ${name}`;
      cell.append(title);
      svg.append(cell);
    }
  }
  for (const step of [0, Math.floor(counts.steps / 2), counts.steps - 1])
    svg.append(
      svgText(
        moment(counts, step),
        left + (step + 0.5) * wide,
        HEIGHT - 5,
        step === 0 ? 'start' : step === counts.steps - 1 ? 'end' : 'middle',
      ),
    );
  node.append(svg);
  return { node, destroy: () => {} };
}

function svgElement(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}

function svgText(text: string, x: number, y: number, anchor: string): SVGElement {
  const made = svgElement('text', { x, y, 'text-anchor': anchor });
  made.textContent = text;
  return made;
}

function moment({ firstMinute, stepMinutes }: Counts, step: number): string {
  const at = new Date((firstMinute + step * stepMinutes) * 60_000);
  const time = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return stepMinutes >= 180
    ? `${at.toLocaleDateString([], { day: 'numeric', month: 'short' })} ${time}`
    : time;
}

/** The newest steps of a panel as a table, for readers who want numbers. */
export function tableOf(drawn: Chart | Heat, counts: Counts): HTMLElement {
  const columns =
    drawn.kind === 'heat'
      ? drawn.rows
          .filter(({ values }) => totalOf(values) > 0)
          .map(({ name, values }) => ({ name, texts: values.map(count) }))
      : drawn.lines.map(({ name, values }) => ({
          name,
          texts: values.map((value) => (value === null ? '–' : drawn.format(value))),
        }));
  const steps = Array.from(
    { length: Math.min(counts.steps, TABLE_ROWS_MAX) },
    (_, at) => counts.steps - 1 - at,
  );
  return element(
    'table',
    {},
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...['Begin', ...columns.map(({ name }) => name)].map((name) => element('th', { scope: 'col' }, name)),
      ),
    ),
    element(
      'tbody',
      {},
      ...steps.map((step) =>
        element(
          'tr',
          {},
          element('th', { scope: 'row' }, moment(counts, step)),
          ...columns.map(({ texts }) => element('td', {}, texts[step] ?? '')),
        ),
      ),
    ),
  );
}
