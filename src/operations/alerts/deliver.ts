import type { Random } from '../../platform/random.ts';
import { bodyOf, type Notice } from './notices.ts';
import type { Target } from './targets.ts';

/** How long a receiver may take, in milliseconds. */
export const DELIVERY_MS = 10_000;
/** How long a notice is tried, in milliseconds: a day. */
export const TRIED_MS = 86_400_000;
const FIRST_RETRY_MS = 5_000;
const RETRY_MS_MAX = 900_000;
const DOUBLINGS_MAX = 10;
const REASON_CHARACTERS_MAX = 200;

/** Half of the delay is certain and half is random, so that many notices do not come back together. */
export function retryDelayMs(attempts: number, random: Random): number {
  const delayMs = Math.min(RETRY_MS_MAX, FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX));
  return Math.round(delayMs / 2 + (random() * delayMs) / 2);
}

/**
 * Sends a notice once.
 *
 * @param id the same at each attempt, so that a receiver recognises what it has.
 * @returns null if the receiver took it, else the reason why not, without secrets.
 */
export async function sendNotice(
  target: Target,
  { id, notice, nowMs }: { readonly id: string; readonly notice: Notice; readonly nowMs: number },
  request: typeof fetch,
  deadlineMs = DELIVERY_MS,
): Promise<string | null> {
  const body = bodyOf(target, notice);
  try {
    const response = await request(target.url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Millrace-Alerts/1',
        ...(await signatureHeaders(target, id, body, nowMs)),
      },
      // A redirect could lead to an address that the configuration may not name.
      redirect: 'manual',
      signal: AbortSignal.timeout(deadlineMs),
    });
    await response.body?.cancel();
    return response.status >= 200 && response.status < 300 ? null : `It answered ${response.status}.`;
  } catch (error) {
    const isLate = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
    return isLate ? `It did not answer within ${deadlineMs} ms.` : `It cannot be reached: ${nameOf(error)}`;
  }
}

/** The kind of the error: a message could have the address, which may be a secret. */
function nameOf(error: unknown): string {
  return (error instanceof Error ? error.name : 'error').slice(0, REASON_CHARACTERS_MAX);
}

/**
 * The headers of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and body. Other kinds get
 * the id alone.
 */
async function signatureHeaders(
  target: Target,
  id: string,
  body: string,
  nowMs: number,
): Promise<Record<string, string>> {
  if (target.kind !== 'generic') return { 'webhook-id': id };
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signature = await signatureOf(target.secret, `${id}.${timestamp}.${body}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

async function signatureOf(secret: string, content: string): Promise<string> {
  const raw = Uint8Array.from(atob(secret.slice('whsec_'.length)), (character) => character.charCodeAt(0));
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', raw, algorithm, false, ['sign']);
  const signed = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(content));
  return btoa(String.fromCharCode(...new Uint8Array(signed)));
}
