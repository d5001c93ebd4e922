/** The parts of a dashboard as elements. Texts become text nodes alone. */
import { element } from '../show.ts';
import { type Drawn, draw, tableOf } from './charts.ts';
import { count, duration, percent } from './format.ts';
import type { Action, List, Row } from './lists.ts';
import { type Answers, type Panel, peerRows, type RouteRow, routeRows, type Scope } from './panels.ts';
import type { State, Tile } from './tiles.ts';

/** What a state is called where a colour alone would say it. */
const STATES: Readonly<Record<State, string>> = {
  good: 'kept',
  warn: 'look at it',
  bad: 'not kept',
  unknown: '',
};

/** @param hrefOf the address of another place of the dashboards. */
export function tileNode(tile: Tile, hrefOf: (tab: string, id: string) => string): HTMLElement {
  const { label, value, note, state, more } = tile;
  const name = more === undefined ? label : element('a', { href: hrefOf(more.tab, more.id) }, label);
  return element(
    'li',
    { class: `tile ${state}` },
    element('h3', {}, name),
    element(
      'p',
      { class: 'value' },
      value,
      ...(STATES[state] === '' ? [] : [' ', element('span', { class: 'state' }, STATES[state])]),
    ),
    element('p', { class: 'note' }, note),
  );
}

/** The part of the page that a panel fills. It is drawn again when its counts or its width change. */
export class PanelView {
  readonly node: HTMLElement;
  readonly #panel: Panel;
  readonly #body = element('div', {});
  readonly #table = element('div', { class: 'scroll', tabindex: '0' });
  readonly #details: HTMLDetailsElement;
  #drawn: Drawn | undefined;
  #fill: (() => void) | undefined;

  constructor(panel: Panel) {
    this.#panel = panel;
    this.#details = element(
      'details',
      {},
      element('summary', {}, 'As a table'),
      this.#table,
    ) as HTMLDetailsElement;
    this.#details.addEventListener('toggle', () => this.#fill?.());
    this.#table.setAttribute('role', 'region');
    this.#table.setAttribute('aria-label', `${panel.title}, as a table`);
    this.node = element(
      'section',
      { id: panel.id, class: 'panel', 'aria-labelledby': `${panel.id}-title` },
      element('h2', { id: `${panel.id}-title` }, panel.title),
      element('p', { class: 'hint' }, panel.hint),
      this.#body,
      this.#details,
    );
  }

  show(answers: Answers, scope: Scope): void {
    const counts = answers[this.#panel.of];
    this.#drawn?.destroy();
    const drawn = this.#panel.draw(counts, scope);
    this.#drawn = draw(drawn, counts, Math.max(240, this.#body.clientWidth));
    this.#body.replaceChildren(this.#drawn.node);
    // A table of a closed part is not made.
    this.#fill = () => {
      if (this.#details.open) this.#table.replaceChildren(tableOf(drawn, counts));
    };
    this.#fill();
  }

  destroy(): void {
    this.#drawn?.destroy();
  }
}

function table(
  label: string,
  head: readonly string[],
  rows: readonly (readonly (Node | string)[])[],
): HTMLElement {
  return element(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${label}, as a table` },
    element(
      'table',
      {},
      element('thead', {}, element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name)))),
      element(
        'tbody',
        {},
        ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell)))),
      ),
    ),
  );
}

const time = (ms: number | null) => (ms === null ? '–' : duration(ms));

/** The tables of routes and services. */
export function tables(
  answers: Answers,
  scope: Scope,
  choose: (route: string | undefined) => void,
): HTMLElement {
  const routes = routeRows(answers);
  const peers = peerRows(answers.peers);
  return element(
    'div',
    { class: 'tables' },
    element(
      'section',
      { id: 'routes', 'aria-labelledby': 'routes-title' },
      element('h2', { id: 'routes-title' }, 'Routes'),
      element('p', { class: 'hint' }, 'Choose one to narrow the panels above to it.'),
      routes.length === 0
        ? element(
            'p',
            { class: 'nothing' },
            'No request was counted in this time. Ask any route, and it is here within ten seconds.',
          )
        : table(
            'Routes',
            ['Route', 'Requests', 'Failed', 'p50', 'p99'],
            routes.map((row) => routeCells(row, scope, choose)),
          ),
    ),
    element(
      'section',
      { id: 'services', 'aria-labelledby': 'services-title' },
      element('h2', { id: 'services-title' }, 'Services'),
      element(
        'p',
        { class: 'hint' },
        'What the worker called. A failed call took too long or ended with an error.',
      ),
      peers.length === 0
        ? element('p', { class: 'nothing' }, 'No call was counted in this time.')
        : table(
            'Services',
            ['Service', 'Calls', 'Failed', 'p50', 'p99'],
            peers.map(({ peer, calls, failed, p50, p99 }) => [
              peer,
              count(calls),
              failedCell(failed, calls),
              time(p50),
              time(p99),
            ]),
          ),
    ),
  );
}

function routeCells(
  { route, requests, failed, p50, p99 }: RouteRow,
  scope: Scope,
  choose: (route: string | undefined) => void,
): (Node | string)[] {
  const isChosen = scope.route === route;
  const button = element(
    'button',
    { type: 'button', class: 'link', 'aria-pressed': String(isChosen) },
    route,
  );
  button.addEventListener('click', () => choose(isChosen ? undefined : route));
  return [button, count(requests), failedCell(failed, requests), time(p50), time(p99)];
}

function failedCell(failed: number, all: number): Node | string {
  if (failed === 0) return '0';
  return element('strong', { class: 'bad' }, `${count(failed)} (${percent(failed / all)})`);
}

/** @param act does an action once the reader has agreed. */
export function listNode(
  list: List,
  rows: readonly Row[] | { readonly failure: string },
  act: (action: Action) => void,
): HTMLElement {
  const { id, title, hint, head, empty, actions = [] } = list;
  const isBroken = 'failure' in rows;
  const withActions = !isBroken && rows.some((row) => row.actions.length > 0);
  const content = isBroken
    ? element('p', { class: 'failed' }, `It could not be read: ${rows.failure}`)
    : rows.length === 0
      ? element('p', { class: 'nothing' }, ...withCode(empty))
      : table(
          title,
          withActions ? [...head, 'Actions'] : head,
          rows.map(({ cells, actions: own }) => [
            ...cells.map(({ text, tone }) =>
              tone === undefined ? text : element('strong', { class: tone }, text),
            ),
            ...(withActions
              ? [element('span', { class: 'actions' }, ...own.map((action) => actionNode(action, act)))]
              : []),
          ]),
        );
  return element(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title` }, title),
    element('p', { class: 'hint' }, ...withCode(hint)),
    content,
    ...(actions.length === 0 ? [] : [element('p', {}, ...actions.map((action) => actionNode(action, act)))]),
  );
}

function actionNode(action: Action, act: (action: Action) => void): HTMLElement {
  const button = element('button', { type: 'button', class: 'small' }, action.label);
  button.addEventListener('click', () => act(action));
  return button;
}

/** Words between backticks as code. */
function withCode(text: string): (Node | string)[] {
  return text.split('`').map((part, at) => (at % 2 === 1 ? element('code', {}, part) : part));
}
