import { CloudEvent, emitterFor, HTTP, type Message, Mode } from 'cloudevents';
import { KEY } from '../../support/node/stack.ts';
import type { Answer, SentEvent, SentRequest } from './client.ts';

const BATCHED = 'application/cloudevents-batch+json';

/** The client of the JavaScript SDK, whose transport is `fetch`. */
export async function sendWithJavaScript(url: URL, requests: readonly SentRequest[]): Promise<Answer[]> {
  const post = async ({ headers, body }: Message): Promise<Answer> => {
    const own = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    const response = await fetch(new URL('/v1/events', url), {
      method: 'POST',
      headers: { ...Object.fromEntries(own), authorization: `Bearer ${KEY}`, prefer: 'wait' },
      body: bodyOf(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const send = async ({ mode, events }: SentRequest): Promise<Answer> => {
    const made = events.map(eventOf);
    const [first] = made;
    // The SDK has no function for a batch: an array of its events is one, in JSON.
    if (mode === 'batch' || first === undefined)
      return await post({ headers: { 'content-type': BATCHED }, body: JSON.stringify(made) });
    const emit = emitterFor(post, { binding: HTTP, mode: mode === 'binary' ? Mode.BINARY : Mode.STRUCTURED });
    return (await emit(first)) as Answer;
  };
  const answers: Answer[] = [];
  for (const request of requests)
    answers.push(await send(request).catch((error: unknown): Answer => ({ error: String(error) })));
  return answers;
}

function eventOf({ attributes, extensions = {}, data }: SentEvent): CloudEvent<unknown> {
  const values = Object.entries(extensions).map(([name, { value }]) => [name, value]);
  return new CloudEvent({
    id: '',
    source: '',
    type: '',
    ...attributes,
    ...Object.fromEntries(values),
    ...(data === undefined ? {} : { data: dataOf(data) }),
  });
}

function dataOf(data: NonNullable<SentEvent['data']>): unknown {
  if ('base64' in data) return new Uint8Array(Buffer.from(data.base64, 'base64'));
  return 'json' in data ? data.json : data.text;
}

/** The SDK hands bytes and texts to the transport as they are. */
function bodyOf(body: unknown): BodyInit | null {
  if (body === undefined || body === null) return null;
  return body instanceof Uint8Array ? new Uint8Array(body) : String(body);
}
