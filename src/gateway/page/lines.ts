/** Lines to try: `curl` commands for a POSIX shell. */
import type { EventToSend } from '../../define/project.ts';

/** The texts for the deployment and its key in a line, and the quoting of a word that contains one of them. */
export interface Place {
  readonly url: string;
  readonly key: string;
  readonly word: (text: string) => string;
}

/** A deployment whose address and key stand in the variables `URL` and `KEY` of the shell. */
export const IN_VARIABLES: Place = { url: '$URL', key: '$KEY', word: expanded };

/** A deployment whose address and key are written out in each line. */
export function writtenOut(url: string, key: string): Place {
  return { url, key, word: quoted };
}

/** @param address a path with its query. */
export function readLine(at: Place, address: string, { isPublic }: { readonly isPublic: boolean }): string {
  return ['curl -i', at.word(at.url + address), ...authorization(at, isPublic)].join(' ');
}

/** Streams changes until the command is ended. */
export function streamLine(at: Place, address: string): string {
  return ['curl -N', at.word(at.url + address), ...authorization(at, false)].join(' ');
}

export function postLine(
  at: Place,
  path: string,
  body: unknown,
  { isPublic }: { readonly isPublic: boolean },
): string {
  const url = at.word(at.url + path);
  const type = "-H 'content-type: application/json'";
  return ['curl -i', url, ...authorization(at, isPublic), type, '-d', quoted(JSON.stringify(body))].join(' ');
}

/** Stands for the id of an event. The shell replaces it by another id at each run. */
const ID_PLACE = 'try-id';
const ID_OF_RUN = `try-'$(date +%s%N)'`;

/** Sends an event and waits until it is stored. */
export function sendLine(at: Place, event: EventToSend): string {
  const body = quoted(JSON.stringify(cloudEvent({ id: ID_PLACE, ...event })));
  return [
    'curl -i',
    at.word(`${at.url}/v1/events`),
    ...authorization(at, false),
    "-H 'content-type: application/cloudevents+json' -H 'prefer: wait' -d",
    body.replace(`"id":"${ID_PLACE}"`, () => `"id":"${ID_OF_RUN}"`),
  ].join(' ');
}

/** The event in CloudEvents' JSON format. */
export function cloudEvent(event: EventToSend): Record<string, unknown> {
  return { specversion: '1.0', id: `try-${event.type}`, source: '/try', ...event };
}

function authorization({ key, word }: Place, isPublic: boolean): string[] {
  return isPublic ? [] : [`-H ${word(`authorization: Bearer ${key}`)}`];
}

/** One word that the shell takes as it is. */
export function quoted(text: string): string {
  return /^[\w./:?=%&-]+$/.test(text) && !/[?&]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** One word in which the shell expands only the two variables. It expands no history (`!`) either. */
function expanded(text: string): string {
  const escaped = text.replaceAll(/["\\`]|\$(?!(?:URL|KEY)\b)/g, '\\$&');
  return `"${escaped.replaceAll('!', `"'!'"`)}"`;
}
