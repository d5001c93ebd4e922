/** The lines that `npm run dev` shows to try: curl commands, made from the examples of the catalog's events. */
import type { Catalog } from '../../src/define/catalog.ts';
import { exampleAddress, exampleValues } from '../../src/define/example-addresses.ts';
import type { Trial } from '../../src/define/project.ts';
import { readLine, sendLine, writtenOut } from '../../src/gateway/page/lines.ts';
import { isAddressOf } from '../../src/gateway/page/live-data.ts';

/** Events, and paths, that are shown: more do not fit on a screen beside the rest. */
const SHOWN_MAX = 4;

/**
 * What to try on a catalog of which only the declarations are known: its events by their examples, and the views
 * whose parameters take a value of the examples.
 *
 * @param now milliseconds since the Unix epoch: the examples are interpreted as if they happened then.
 */
export function trialsOf(catalog: Catalog, now: number): Trial[] {
  const shown = catalog.events.filter(({ example }) => example !== undefined);
  const known = exampleValues(shown, now);
  const sends = shown.slice(0, SHOWN_MAX).map(({ type, example }) => ({ send: { type, data: example } }));
  const paths = catalog.views.flatMap((view) => exampleAddress(view, known) ?? []).slice(0, SHOWN_MAX);
  const [event] = sends;
  if (event === undefined) return [];
  if (paths.length === 0) return sends;
  return [
    ...noted('send the example of each event type; 201 says that it is stored', sends),
    ...noted('read, which fills the cache', gets(paths)),
    { ...event, note: 'the first event once more, with another id' },
    ...noted(
      'read again: what the event changed is fresh (Cache-Status: fwd=stale, or a hit filled ahead), the rest a hit',
      gets(paths),
    ),
  ];
}

function gets(paths: readonly string[]): Trial[] {
  return paths.map((get) => ({ get }));
}

/** The trials, with a note above the first one. */
export function noted(note: string, trials: readonly Trial[]): Trial[] {
  return trials.map((trial, index) => (index === 0 ? { ...trial, note } : trial));
}

/**
 * A trial as a curl command, for a worker at `url` whose key is `key`. Only what is closed is asked with the key.
 *
 * @param isStrong whether a read asks for an answer that reflects all changes before it.
 */
export function curlOf(
  trial: Trial,
  { url, key }: { url: string; key: string },
  { views, models }: Pick<Catalog, 'views' | 'models'>,
  { isStrong }: { readonly isStrong: boolean } = { isStrong: false },
): string {
  const at = writtenOut(url, key);
  if ('send' in trial) return sendLine(at, trial.send);
  const isPublic = [...views, ...models].some(
    ({ path = '', isPublic: isOpen }) => isOpen && isAddressOf(path, trial.get),
  );
  const line = readLine(at, trial.get, { isPublic });
  return isStrong ? `${line} -H 'millrace-consistency: strong'` : line;
}
