/** The script of the page at `/models`: shows the registry to a reader with a key. It changes nothing. */
import { memberOf } from './answers.ts';
import { problemOf } from './follow.ts';
import { type Answer, ask } from './http.ts';
import { LEARNING_PARTS, type LearningPart } from './learning.ts';
import { onSubmit, part } from './parts.ts';
import {
  modelNames,
  pushOf,
  rollbackOf,
  type ShownModel,
  type ShownVersion,
  shownModel,
} from './registry.ts';
import { element } from './show.ts';

const keyInput = part('key', HTMLInputElement);
const form = part('models-form', HTMLFormElement);
const shown = part('models', HTMLDivElement);

async function read(address: string): Promise<Answer> {
  const answer = await ask(address, keyInput.value.trim());
  if (answer.status !== 200) throw new Error(problemOf(answer));
  return answer;
}

function modelSection(model: ShownModel): HTMLElement {
  const { name, facts, description, aliases, versions, history } = model;
  const rollback = rollbackOf(model);
  return element(
    'section',
    { 'aria-labelledby': `model-${name}` },
    element('h2', { id: `model-${name}` }, name),
    element('p', {}, element('code', {}, facts)),
    element('p', {}, description),
    element('h3', {}, 'Aliases'),
    aliases.length === 0
      ? element('p', {}, 'No alias names a version, so the model does not answer.')
      : element(
          'dl',
          { class: 'aliases' },
          ...aliases.flatMap(({ alias, version, since, by }) => [
            element('dt', {}, alias),
            element('dd', {}, element('code', {}, version), ` since ${since}, by ${by}`),
          ]),
        ),
    ...(rollback === undefined ? [] : commands([['Let the version before answer again', rollback]])),
    element('h3', {}, `Versions (${versions.length})`),
    ...(versions.length === 0
      ? [element('p', {}, 'No version is registered yet.'), ...commands([['Publish one', pushOf(name)]])]
      : versions.map((version) => versionCard(name, version))),
    element('h3', {}, 'Learning'),
    ...LEARNING_PARTS.map((of) => learningDetails(name, of)),
    element('h3', {}, 'Changes of the aliases'),
    history.length === 0
      ? element('p', {}, 'There was none.')
      : element(
          'ol',
          { class: 'history' },
          ...history.map(({ at, text }) =>
            element('li', {}, element('time', { datetime: at }, at), ` ${text}`),
          ),
        ),
  );
}

function versionCard(model: string, version: ShownVersion): HTMLElement {
  const { registered, by, retiredAt, aliases, facts } = version;
  const state = retiredAt === undefined ? aliases : [...aliases, `withdrawn ${retiredAt}`];
  return element(
    'article',
    { class: `card ${aliases.includes('champion') ? 'fresh' : retiredAt === undefined ? 'hit' : 'refused'}` },
    element('h4', {}, element('code', {}, version.version), ...state.flatMap((text) => [' ', badge(text)])),
    element('p', { class: 'hint' }, `Registered ${registered} by ${by}`),
    element('dl', {}, ...facts.flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)])),
    cardDetails(model, version.version),
    ...commands(version.commands),
  );
}

function badge(text: string): HTMLElement {
  return element('span', { class: text === 'champion' ? 'access' : 'access closed' }, text);
}

/** The card is read when it is opened: it may have 64 KB, and there may be a hundred. */
function cardDetails(model: string, version: string): HTMLElement {
  return detailsOf('Card', `/v1/models/${model}/versions/${version}`, (json) => {
    const card = String(memberOf(json, 'card') ?? '');
    return card === ''
      ? element('p', {}, 'The version has no card.')
      : element('pre', { class: 'prose', tabindex: '0' }, card);
  });
}

function learningDetails(model: string, { title, address, lines }: LearningPart): HTMLElement {
  return detailsOf(title, address(model), (json) =>
    element('ul', { class: 'history' }, ...lines(json).map((line) => element('li', {}, line))),
  );
}

/** A part that is read when it is opened, and read again after a failure. */
function detailsOf(title: string, address: string, shownOf: (json: unknown) => HTMLElement): HTMLElement {
  const body = element('div', {}, '…');
  const details = element('details', {}, element('summary', {}, title), body);
  let isRead = false;
  details.addEventListener('toggle', () => {
    if (isRead) return;
    isRead = true;
    read(address)
      .then(({ json }) => body.replaceChildren(shownOf(json)))
      .catch((error: unknown) => {
        isRead = false;
        body.replaceChildren(failure(error instanceof Error ? error.message : String(error)));
      });
  });
  return details;
}

function commands(all: readonly (readonly [what: string, command: string])[]): HTMLElement[] {
  return all.flatMap(([what, command]) => [
    element('p', { class: 'hint' }, `${what}:`),
    element('pre', { tabindex: '0' }, element('code', {}, command)),
  ]);
}

function failure(message: string): HTMLElement {
  return element('p', { class: 'failed' }, message);
}

onSubmit(
  form,
  (message) => shown.replaceChildren(failure(message)),
  async () => {
    shown.replaceChildren();
    const names = modelNames((await read('/v1/models')).json);
    const models = await Promise.all(
      names.map(async (name) => shownModel((await read(`/v1/models/${name}`)).json)),
    );
    shown.replaceChildren(
      ...(models.length === 0
        ? [element('p', {}, 'The catalog declares no model.')]
        : models.map(modelSection)),
    );
  },
);
form.hidden = false;
part('without-script', HTMLParagraphElement).hidden = true;
