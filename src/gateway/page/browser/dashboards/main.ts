/** The script of the pages at `/dashboards`. One document has all three, so that the key is asked for once. */
import { systemNow } from '../../../../platform/clock.ts';
import { problemOf } from '../follow.ts';
import { ask } from '../http.ts';
import { onSubmit, part } from '../parts.ts';
import type { Action } from './lists.ts';
import { follow } from './live.ts';
import { type Loaded, load, messageOf, RANGES, type Range } from './load.ts';
import { QUESTIONS, type Scope } from './panels.ts';
import { withNewest } from './series.ts';
import { TAB_NAMES, TABS, type TabName } from './tabs.ts';
import { listNode, PanelView, tables, tileNode } from './view.ts';

/** How often everything is read again, in milliseconds: soon while counts arrive, else each minute. */
const REFRESH_LIVE_MS = 15_000;
const REFRESH_MS = 60_000;

const form = part('dashboard-form', HTMLFormElement);
const keyInput = part('key', HTMLInputElement);
const shown = part('dashboard', HTMLDivElement);
const status = part('status', HTMLParagraphElement);
const alarm = part('alarm', HTMLDivElement);
const parts = {
  title: part('title', HTMLHeadingElement),
  intro: part('intro', HTMLParagraphElement),
  tiles: part('tiles', HTMLUListElement),
  panels: part('panels', HTMLDivElement),
  rest: part('rest', HTMLDivElement),
  chosen: part('chosen', HTMLParagraphElement),
};
const rangeSelect = part('range', HTMLSelectElement);

let key = '';
let loaded: Loaded | undefined;
let panels: PanelView[] = [];
let panelsOf: TabName | undefined;
let stop: (() => void) | undefined;
let isLive = false;
let hasNews = false;
let readMs = 0;
let turn = 0;

function tabOf(): TabName {
  const name = location.pathname.split('/')[2];
  return TAB_NAMES.find((tab) => tab === name) ?? 'operational';
}

function rangeOf(): Range {
  const asked = new URLSearchParams(location.search).get('range');
  return (Object.keys(RANGES) as Range[]).find((range) => range === asked) ?? '1h';
}

function scopeOf(): Scope {
  return { route: new URLSearchParams(location.search).get('route') ?? undefined, nowMs: systemNow() };
}

/** The address of a place, with the range that is shown. */
function hrefOf(tab: string, id = '', change: { range?: Range; route?: string | undefined } = {}): string {
  const query = new URLSearchParams();
  const range = change.range ?? rangeOf();
  if (range !== '1h') query.set('range', range);
  const route = 'route' in change ? change.route : scopeOf().route;
  if (route !== undefined) query.set('route', route);
  const search = query.size === 0 ? '' : `?${query}`;
  return `/dashboards/${tab}${search}${id === '' ? '' : `#${id}`}`;
}

function go(href: string): void {
  history.pushState(null, '', href);
  void refresh();
}

/** Shows what is known already, and reads the rest. */
async function refresh(): Promise<void> {
  if (key === '') return;
  const own = ++turn;
  showFrame();
  if (loaded !== undefined) showAll(loaded);
  readMs = systemNow();
  hasNews = false;
  const found = await load(TABS[tabOf()], rangeOf(), key);
  // The reader has gone on meanwhile.
  if (own !== turn) return;
  loaded = found;
  showAll(found);
}

function showFrame(): void {
  const name = tabOf();
  const { title, intro } = TABS[name];
  document.title = `${title}: Millrace`;
  parts.title.textContent = title;
  parts.intro.textContent = intro;
  rangeSelect.value = rangeOf();
  for (const link of document.querySelectorAll<HTMLAnchorElement>('nav a[data-tab]')) {
    const tab = link.dataset['tab'] ?? '';
    link.href = hrefOf(tab);
    if (tab === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (panelsOf === name) return;
  for (const panel of panels) panel.destroy();
  panels = TABS[name].panels.map((panel) => new PanelView(panel));
  panelsOf = name;
  parts.panels.replaceChildren(...panels.map(({ node }) => node));
  parts.rest.replaceChildren();
  parts.tiles.replaceChildren();
}

function showAll({ answers, failure, reports, lists }: Loaded): void {
  const tab = TABS[tabOf()];
  const scope = scopeOf();
  alarm.replaceChildren(
    ...(failure === undefined
      ? []
      : [`The counters could not be read: ${failure} What needs them is left out.`]),
  );
  parts.tiles.replaceChildren(
    ...tab.tiles(answers, reports, scope.nowMs).map((tile) => tileNode(tile, hrefOf)),
  );
  showChosen(scope);
  for (const panel of panels) panel.show(answers, scope);
  showRest(tab, answers, scope, lists);
  showStatus();
}

/** Lists are left alone while the reader has the focus in one of them. */
function showRest(
  tab: (typeof TABS)[TabName],
  answers: Loaded['answers'],
  scope: Scope,
  lists: Loaded['lists'],
): void {
  if (parts.rest.contains(document.activeElement)) return;
  const nodes = tab.lists.flatMap((list) => {
    const found = lists.get(list.id);
    if (found === undefined) return [];
    return [
      listNode(
        list,
        'failure' in found ? found : list.rows(found.json, scope.nowMs),
        (action) => void act(action),
      ),
    ];
  });
  const isFirst = parts.rest.childElementCount === 0;
  parts.rest.replaceChildren(...(tab.hasTables ? [tables(answers, scope, choose)] : []), ...nodes);
  if (isFirst && location.hash.length > 1) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function choose(route: string | undefined): void {
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  go(hrefOf(tabOf(), '', { route }));
}

function showChosen({ route }: Scope): void {
  parts.chosen.hidden = route === undefined;
  if (route === undefined) return;
  const all = document.createElement('a');
  all.href = hrefOf(tabOf(), '', { route: undefined });
  all.textContent = 'show all routes';
  const code = document.createElement('code');
  code.textContent = route;
  parts.chosen.replaceChildren('Traffic, latency and failures are those of ', code, '; ', all, '.');
}

function showStatus(): void {
  const at = new Date(readMs).toLocaleTimeString();
  status.textContent = isLive ? `Live. Read at ${at}.` : `Not live: counts do not arrive. Read at ${at}.`;
  status.className = isLive ? 'live' : 'late';
}

async function act({ method, path, body, ask: question }: Action): Promise<void> {
  if (!window.confirm(question)) return;
  const json =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await ask(path, key, { method, ...json }).catch(messageOf);
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  const failure = typeof answer === 'string' ? answer : answer.status < 300 ? undefined : problemOf(answer);
  await refresh();
  if (failure !== undefined) alarm.replaceChildren(`It was not done: ${failure}`);
}

function listen(): void {
  stop?.();
  stop = follow({
    question: QUESTIONS.requests,
    key,
    take: (newest) => {
      if (loaded === undefined || rangeOf() !== '1h') return;
      const requests = withNewest(loaded.answers.requests, newest);
      hasNews ||= JSON.stringify(requests) !== JSON.stringify(loaded.answers.requests);
      loaded = { ...loaded, answers: { ...loaded.answers, requests } };
      showAll(loaded);
    },
    state: (live) => {
      isLive = live;
      showStatus();
    },
  });
}

setInterval(() => {
  if (key === '' || document.hidden) return;
  if (systemNow() - readMs >= (hasNews ? REFRESH_LIVE_MS : REFRESH_MS)) void refresh();
}, 1_000);

// A hidden page holds no stream.
document.addEventListener('visibilitychange', () => {
  if (key === '') return;
  if (document.hidden) return stop?.();
  listen();
  void refresh();
});
window.addEventListener('popstate', () => void refresh());
window.addEventListener('resize', () => {
  if (loaded !== undefined) showAll(loaded);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (loaded !== undefined) showAll(loaded);
});
rangeSelect.addEventListener('change', () => go(hrefOf(tabOf(), '', { range: rangeSelect.value as Range })));
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (
    link === null ||
    !isPlain ||
    !link.pathname.startsWith('/dashboards') ||
    link.origin !== location.origin
  )
    return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  void refresh().then(() => document.getElementById(link.hash.slice(1))?.scrollIntoView());
});

async function begin(given: string): Promise<void> {
  const answer = await ask('/v1/admin/queues', given);
  if (answer.status !== 200) throw new Error(problemOf(answer));
  key = given;
  form.hidden = true;
  shown.hidden = false;
  listen();
  await refresh();
}

onSubmit(
  form,
  (message) => alarm.replaceChildren(message),
  async () => {
    alarm.replaceChildren();
    await begin(keyInput.value.trim());
  },
);
part('without-script', HTMLParagraphElement).hidden = true;
form.hidden = false;
// `npm run dev` prints an address with the key behind `#`, which a browser does not send: it is taken out of the address.
const given = new URLSearchParams(location.hash.slice(1)).get('key');
if (given !== null) {
  history.replaceState(null, '', location.pathname + location.search);
  void begin(given).catch((error: unknown) => alarm.replaceChildren(messageOf(error)));
}
