import { sha256Hex } from '../../platform/digest.ts';

/** Headers that decide on the effect of a request or on the meaning of its body, beside the attributes of an event. */
const COUNTED = new Set([
  'content-type',
  'content-encoding',
  'if-match',
  'if-none-match',
  'prefer',
  'millrace-lane',
]);
/** The attributes of a CloudEvent in binary mode. */
const EVENT_ATTRIBUTE = /^ce-/;

/** SHA-256 of everything that makes a request what it is: method, address, the headers that count, and body. */
export async function fingerprintOf(
  { method, url, headers }: Pick<Request, 'method' | 'url' | 'headers'>,
  body: Uint8Array,
): Promise<string> {
  const { pathname, search } = new URL(url);
  const counted = [...headers].filter(([name]) => COUNTED.has(name) || EVENT_ATTRIBUTE.test(name));
  // JSON has no raw line feed, so the body begins behind the first.
  const head = new TextEncoder().encode(`${JSON.stringify([method, pathname + search, counted.sort()])}\n`);
  const all = new Uint8Array(head.byteLength + body.byteLength);
  all.set(head);
  all.set(body, head.byteLength);
  return await sha256Hex(all);
}
