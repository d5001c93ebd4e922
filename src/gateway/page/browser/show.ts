/** Shows answers. Texts become text nodes alone, so nothing that an answer contains is read as HTML. */
import { isAddressOf, type LiveData, type RowRoute } from '../live-data.ts';
import { differences, memberOf, type Outcome, outcomeOf, rankedItems } from './answers.ts';
import type { Compared } from './follow.ts';
import { type Answer, ask } from './http.ts';

const CHANGES_SHOWN_MAX = 4;
const ITEMS_SHOWN_MAX = 10;
const BODY_SHOWN_MAX = 1_200;

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  fresh: 'became fresh',
  hit: 'stayed a hit',
  refused: 'refused',
};

type Child = Node | string;

export function element(
  name: string,
  properties: Readonly<Record<string, string>>,
  ...children: Child[]
): HTMLElement {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) made.setAttribute(property, value);
  made.append(...children);
  return made;
}

export function stepItem(title: string, text: string, details: readonly string[] = []): HTMLElement {
  const codes = details.flatMap((detail) => [' ', element('code', {}, detail)]);
  return element('li', {}, element('strong', {}, title), ` ${text}`, ...codes);
}

/** Cards of the compared answers. A fresh one and one that stayed a hit stand beside each other at the top. */
export async function comparisonCards(
  answers: readonly Compared[],
  data: LiveData,
  key: string,
): Promise<HTMLElement[]> {
  const first = contrast(answers, data.rows);
  const rest = answers.filter((answer) => !first.includes(answer));
  return await Promise.all([...first, ...rest].map((answer) => comparisonCard(answer, data, key)));
}

/** A fresh answer and a hit, of two rows of one entity where there are such two, best of one with a description. */
function contrast(answers: readonly Compared[], rows: readonly RowRoute[]): Compared[] {
  const pairIn = (candidates: readonly Compared[]) => {
    const [fresh, hit] = [
      candidates.find((one) => of(one) === 'fresh'),
      candidates.find((one) => of(one) === 'hit'),
    ];
    return fresh === undefined || hit === undefined ? undefined : [fresh, hit];
  };
  const described = rows.toSorted((a, b) => Number(b.label !== undefined) - Number(a.label !== undefined));
  for (const { prefix } of described) {
    const pair = pairIn(answers.filter(({ after }) => isAddressOf(`${prefix}{key}`, after.address)));
    if (pair !== undefined) return pair;
  }
  return pairIn(answers) ?? [];
}

function of({ before, after }: Compared): Outcome {
  return outcomeOf(before, after);
}

async function comparisonCard(answer: Compared, data: LiveData, key: string): Promise<HTMLElement> {
  const { before, after } = answer;
  const outcome = of(answer);
  const ranking = await rankingList(after, data, key);
  const changes = ranking === undefined ? changesOf(before, after) : [];
  return element(
    'article',
    { class: `card ${outcome}` },
    element('h4', {}, element('code', {}, after.address)),
    element('p', {}, element('strong', {}, OUTCOMES[outcome])),
    element('dl', {}, ...definition('Before', before), ...definition('After', after)),
    ...(changes.length === 0 || outcome === 'hit' ? [] : [changeList(changes)]),
    ...(ranking === undefined ? [] : [ranking]),
  );
}

/** What changed in the answer; of a row that has appeared, only that it has: a problem document is no earlier row. */
function changesOf(before: Answer, after: Answer): string[] {
  if (before.status !== after.status) return [`status: ${before.status} → ${after.status}`];
  return differences(before.json, after.json, CHANGES_SHOWN_MAX);
}

function definition(term: string, { status, cacheStatus }: Answer): HTMLElement[] {
  const text = `${status === 200 ? '' : `${status}, `}${cacheStatus === '' ? 'no Cache-Status' : cacheStatus}`;
  return [element('dt', {}, term), element('dd', {}, element('code', {}, text))];
}

function changeList(changes: readonly string[]): HTMLElement {
  return element('ul', {}, ...changes.map((change) => element('li', {}, change)));
}

/** The items of a ranking, each with its description where a view of its row has one; undefined for other answers. */
async function rankingList(answer: Answer, data: LiveData, key: string): Promise<HTMLElement | undefined> {
  const model = data.models.find(({ path }) => isAddressOf(path, answer.address));
  const items = model?.items === undefined ? undefined : rankedItems(answer.json)?.slice(0, ITEMS_SHOWN_MAX);
  if (items === undefined) return undefined;
  const row = data.rows.find(({ entity, label }) => entity === model?.items && label !== undefined);
  const labels = await Promise.all(
    items.map(async (item) => {
      if (row?.label === undefined) return undefined;
      const found = await ask(row.prefix + encodeURIComponent(item), key).catch(() => undefined);
      const label = memberOf(found?.json, row.label);
      return found?.status === 200 && typeof label === 'string' ? label : undefined;
    }),
  );
  const entries = items.map((item, index) => {
    const label = labels[index];
    const code = element('code', {}, item);
    return label === undefined ? element('li', {}, code) : element('li', {}, `${label} `, code);
  });
  return element('ol', { class: 'items' }, ...entries);
}

/** The answer of a model: its items if it is a ranking, and else its JSON. */
export async function modelAnswer(answer: Answer, data: LiveData, key: string): Promise<HTMLElement[]> {
  const [source, degraded] = [memberOf(answer.json, 'source'), memberOf(answer.json, 'degraded')];
  const facts = [
    answer.cacheStatus,
    ...(source === undefined ? [] : [`source: ${String(source)}`]),
    ...(degraded === undefined ? [] : [`degraded: ${String(degraded)}`]),
  ];
  const ranking = await rankingList(answer, data, key);
  const body = JSON.stringify(answer.json, null, 2).slice(0, BODY_SHOWN_MAX);
  return [
    element('p', {}, ...facts.flatMap((fact) => [element('code', {}, fact), ' '])),
    ranking ?? element('pre', { tabindex: '0' }, body),
  ];
}
