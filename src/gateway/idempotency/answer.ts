import * as z from 'zod';
import { decodeUtf8 } from '../../platform/utf8.ts';

/** The most bytes of an answer that is kept: a report on 1,000 events of which all are refused has about half of it. */
export const ANSWER_BYTES_MAX = 1_000_000;
export const REPLAYED = 'Idempotency-Replayed';

/** Headers of one answer that are not part of what is repeated. */
const OF_ONE_ANSWER = new Set([
  'content-length',
  'date',
  'ratelimit',
  'ratelimit-policy',
  'server-timing',
  'x-request-id',
]);
/** Statuses without a body (WHATWG Fetch §2.2.3). */
const BODILESS = new Set([204, 205, 304]);

const Head = z.object({ status: z.int(), headers: z.array(z.tuple([z.string(), z.string()])) });

/** Whether the same request may have another outcome later, so that its key has to be free again. */
export function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}

/** An answer as bytes; undefined if it is too large. Leaves the body of the response to its reader. */
export async function bytesOf(response: Response): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const headers = [...response.headers].filter(([name]) => !OF_ONE_ANSWER.has(name));
  const body = new Uint8Array(await response.clone().arrayBuffer());
  const head = new TextEncoder().encode(`${JSON.stringify({ status: response.status, headers })}\n`);
  if (head.byteLength + body.byteLength > ANSWER_BYTES_MAX) return undefined;
  const all = new Uint8Array(head.byteLength + body.byteLength);
  all.set(head);
  all.set(body, head.byteLength);
  return all;
}

/** The response that was made into bytes, marked as a repetition. */
export function responseOf(bytes: Uint8Array): Response {
  const end = bytes.indexOf('\n'.charCodeAt(0));
  const { status, headers } = Head.parse(JSON.parse(decodeUtf8(bytes.subarray(0, end))));
  const body = BODILESS.has(status) ? null : bytes.slice(end + 1);
  const response = new Response(body, { status, headers });
  response.headers.set(REPLAYED, 'true');
  return response;
}
