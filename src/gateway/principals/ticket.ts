import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod';
import { type Holder, SCOPES, tokenHolder } from '../../define/principal.ts';
import { equalInConstantTime } from '../../platform/digest.ts';
import { base64Url } from '../../platform/random-bytes.ts';
import { decodeUtf8 } from '../../platform/utf8.ts';

/** How long a ticket is valid, in seconds: a client uses it at once, and it stands in an address. */
export const TICKET_S = 60;
/** The paths that a ticket may be for: those that browsers read by `EventSource`, which sends no header. */
export const TICKET_PATHS = ['/v1/changes'] as const;
export type TicketPath = (typeof TICKET_PATHS)[number];
/** A ticket with 16 claims of the longest text takes less. */
const TICKET_CHARACTERS_MAX = 8_192;

const Content = z.tuple([
  z.enum(TICKET_PATHS),
  z.int(),
  z.enum(['key', 'token']),
  z.string(),
  z.array(z.enum(SCOPES)),
  z.record(z.string(), z.string()),
]);

/** The key of a deployment's tickets. It follows from its two secrets, so that neither alone is enough to make one. */
export function ticketKey(secrets: {
  readonly databaseUrl: string;
  readonly apiKeySha256: string;
}): Uint8Array {
  const { databaseUrl, apiKeySha256 } = secrets;
  return sha256(utf8ToBytes(JSON.stringify(['millrace ticket 1', databaseUrl, apiKeySha256])));
}

/** A ticket for a path, with the sender as it is admitted now. It is signed, not encrypted. */
export function newTicket(
  key: Uint8Array,
  path: TicketPath,
  { kind, id, scopes, claims }: Holder,
  nowMs: number,
) {
  const expiresAtMs = nowMs + TICKET_S * 1_000;
  const content = JSON.stringify([path, expiresAtMs, kind, id, [...scopes], claims]);
  const body = base64Url(utf8ToBytes(content));
  return { text: `${body}.${macOf(key, body)}`, expiresAtMs };
}

/** The holder of a ticket; undefined if it is not valid for the path, or has expired. */
export function holderOfTicket(
  key: Uint8Array,
  text: string,
  path: string,
  nowMs: number,
): Holder | undefined {
  if (text.length > TICKET_CHARACTERS_MAX) return undefined;
  const [, body = '', mac = ''] = /^([\w-]+)\.([\w-]{43})$/.exec(text) ?? [];
  if (body === '' || !equalInConstantTime(mac, macOf(key, body))) return undefined;
  // The signature shows that this deployment made the text, though perhaps another release of it.
  const content = Content.safeParse(JSON.parse(textOf(body)));
  if (!content.success) return undefined;
  const [own, expiresAtMs, kind, id, scopes, claims] = content.data;
  if (own !== path || nowMs >= expiresAtMs) return undefined;
  return kind === 'token' ? tokenHolder(id, scopes, claims) : { kind, id, scopes: new Set(scopes), claims };
}

function macOf(key: Uint8Array, body: string): string {
  return base64Url(hmac(sha256, key, utf8ToBytes(body)));
}

function textOf(body: string): string {
  const binary = atob(body.replaceAll('-', '+').replaceAll('_', '/'));
  return decodeUtf8(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
