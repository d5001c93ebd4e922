import { Failure } from '../../platform/failure.ts';
import { ruleOf } from '../route-rules.ts';

export const KEY_CHARACTERS_MAX = 255;
const HEADER = 'Idempotency-Key';

/** A string of structured fields (RFC 9651 §3.3.3), as draft-ietf-httpapi-idempotency-key-header-07 §2.1 has it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** The same without quotes, as many clients send it. A comma would be that of two headers. */
const BARE = /^[\x21\x23-\x2b\x2d-\x7e]+$/;

/** The key of a header; a key in quotes is the same key as without. @throws Failure `invalid_request` */
export function keyIn(header: string): string {
  const text = header.trim();
  const key = QUOTED.exec(text)?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? (BARE.test(text) ? text : '');
  if (key.length > 0 && key.length <= KEY_CHARACTERS_MAX) return key;
  throw new Failure(
    'invalid_request',
    `Idempotency-Key is 1 to ${KEY_CHARACTERS_MAX} characters of ASCII in double quotes, such as a random UUID.`,
    { pointer: HEADER },
  );
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Routes with bodies of up to 64 MB. What they store has the digest of its content, so a repetition stores the same. */
const STORED_BY_DIGEST = /^\/v1\/admin\/(artifacts|models)\/[^/]+(\/champion)?$/;

/**
 * Whether a route honours `Idempotency-Key`: every route with an effect, except those that store by digest. A `POST` that
 * reads (features, predictions, tickets) has no effect, and may be repeated as it is.
 */
export function takesIdempotencyKey(method: string, path: string): boolean {
  if (SAFE_METHODS.has(method) || STORED_BY_DIGEST.test(path)) return false;
  const scope = ruleOf(method, path)?.scope;
  return scope !== 'data:read' && scope !== 'predictions:run';
}
