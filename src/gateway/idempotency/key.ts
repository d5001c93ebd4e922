import { Failure } from '../../platform/failure.ts';
import { ruleOf } from '../route-rules.ts';

/**
 * A key of 1 to 255 characters of ASCII: a string of structured fields (RFC 9651 §3.3.3), as
 * draft-ietf-httpapi-idempotency-key-header-07 §2.1 has it, or the same without quotes, as many clients send it. Without
 * quotes a comma would be that between two headers.
 */
export const KEY_PATTERN = /^(?:[!#-+\--~]{1,255}|"(?:[ !#-[\]-~]|\\["\\]){1,255}")$/;

/** The key of a header; a key in quotes is the same key as without. @throws Failure `invalid_request` */
export function keyIn(header: string): string {
  const text = header.trim();
  if (!KEY_PATTERN.test(text))
    throw new Failure(
      'invalid_request',
      'Idempotency-Key is 1 to 255 characters of ASCII in double quotes, such as a random UUID.',
      { pointer: 'Idempotency-Key' },
    );
  return text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') : text;
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Routes with bodies of up to 64 MB. What they store has the digest of its content, so a repetition stores the same. */
const STORED_BY_DIGEST = /^\/v1\/admin\/(artifacts|models)\/[^/]+(\/champion|\/versions)?$/;

/**
 * Whether a route honours `Idempotency-Key`: every route with an effect, except those that store by digest. A `POST` that
 * reads (features, predictions, tickets) has no effect, and may be repeated as it is.
 */
export function takesIdempotencyKey(method: string, path: string): boolean {
  if (SAFE_METHODS.has(method) || STORED_BY_DIGEST.test(path)) return false;
  const scope = ruleOf(method, path)?.scope;
  return scope !== 'data:read' && scope !== 'predictions:run';
}
