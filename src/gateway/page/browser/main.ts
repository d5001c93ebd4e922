/** The script of the page at `/`: lets a reader send an event and follow it, and ask a model. */
import type { LiveData } from '../live-data.ts';
import { follow, problemOf } from './follow.ts';
import { ask } from './http.ts';
import { onSubmit, part } from './parts.ts';
import { comparisonCards, element, modelAnswer, stepItem } from './show.ts';

/** The server has put it into this document itself. */
const data: LiveData = JSON.parse(document.getElementById('live-data')?.textContent ?? '');

/** Each address is read three times and more, and a browser has six connections. */
const ADDRESSES_MAX = 24;

const keyInput = part('key', HTMLInputElement);

function keyOrFocus(): string | undefined {
  const key = keyInput.value.trim();
  if (key !== '') return key;
  keyInput.focus();
  return undefined;
}

function fillSelect(
  select: HTMLSelectElement,
  names: readonly string[],
  choose: (index: number) => void,
): void {
  select.replaceChildren(...names.map((name) => element('option', {}, name)));
  select.addEventListener('change', () => choose(select.selectedIndex));
  choose(0);
}

function setUpEvents(): void {
  const form = part('event-form', HTMLFormElement);
  const type = part('event-type', HTMLSelectElement);
  const body = part('event-data', HTMLTextAreaElement);
  const addresses = part('addresses', HTMLTextAreaElement);
  const steps = part('steps', HTMLOListElement);
  const comparison = part('comparison', HTMLDivElement);
  fillSelect(
    type,
    data.events.map((event) => event.type),
    (index) => {
      const event = data.events[index];
      body.value = JSON.stringify(event?.data, null, 2);
      addresses.value = (event?.addresses ?? []).join('\n');
    },
  );
  const fail = (message: string) => {
    const item = stepItem('Ended', message);
    item.classList.add('failed');
    steps.append(item);
  };
  onSubmit(form, fail, async () => {
    steps.replaceChildren();
    comparison.replaceChildren();
    const key = keyOrFocus();
    if (key === undefined) throw new Error('Sending an event needs the key. Type it into the field above.');
    let cards: Promise<unknown> = Promise.resolve();
    const run = {
      feeds: data.events[type.selectedIndex]?.feeds ?? [],
      key,
      type: type.value,
      id: newId(),
      data: jsonOf(body.value),
      addresses: linesOf(addresses.value),
    };
    await follow(run, data.rows, {
      step: (...step) => steps.append(stepItem(...step)),
      comparison: (answers) => {
        // One after the other, so that an earlier comparison never replaces a later one.
        cards = cards
          .then(() => comparisonCards(answers, data, key))
          .then((shown) => comparison.replaceChildren(...shown));
      },
    });
    await cards;
  });
}

function setUpModels(): void {
  const form = part('model-form', HTMLFormElement);
  const address = part('model-address', HTMLInputElement);
  const shown = part('model-answer', HTMLDivElement);
  fillSelect(
    part('model', HTMLSelectElement),
    data.models.map(({ name }) => name),
    (index) => {
      address.value = data.models[index]?.address ?? '';
    },
  );
  const fail = (message: string) => shown.replaceChildren(element('p', { class: 'failed' }, message));
  onSubmit(form, fail, async () => {
    const key = keyInput.value.trim();
    const answer = await ask(address.value.trim(), key);
    if (answer.status !== 200) throw new Error(problemOf(answer));
    shown.replaceChildren(...(await modelAnswer(answer, data, key)));
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The data is not JSON: ${String(error)}`);
  }
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const addresses = [...new Set(lines.filter((line) => line !== ''))];
  if (addresses.length <= ADDRESSES_MAX) return addresses;
  throw new Error(`There are ${addresses.length} addresses. Compare at most ${ADDRESSES_MAX}.`);
}

/** 128 random bits; `randomUUID` is missing where the page is served over plain HTTP. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

if (data.events.length > 0) setUpEvents();
if (data.models.length > 0) setUpModels();
part('controls', HTMLDivElement).hidden = false;
part('without-script', HTMLParagraphElement).hidden = true;
