import { Failure, type FailureCode } from '../platform/failure.ts';

/**
 * Addresses of requests. Reading and purging decode them by these functions and those of `query.ts` alone, so that both
 * get the same input from the same address.
 */

/**
 * Refuses a path or a query that is not percent-encoded UTF-8 (RFC 3986 §2.1): each parser would make another text of
 * it.
 *
 * @param address a URL, or a part of one.
 * @throws Failure `code`
 */
export function assertEncoded(address: string, pointer: string, code: FailureCode = 'invalid_request'): void {
  if (!address.includes('%')) return;
  try {
    decodeURIComponent(address);
  } catch {
    throw new Failure(
      code,
      'The address is not percent-encoded UTF-8: each % is followed by two hexadecimal digits.',
      { pointer },
    );
  }
}

/** The longest address in characters: the platform's own limit in production. Locally the runtime takes four times as much. */
const ADDRESS_CHARACTERS_MAX = 16_384;

/** @throws Failure `address_too_long` */
export function assertShort(url: string): void {
  if (url.length <= ADDRESS_CHARACTERS_MAX) return;
  throw new Failure('address_too_long', `The address has more than ${ADDRESS_CHARACTERS_MAX} characters.`);
}

/** The query of a URL, without the question mark. */
export function searchOf(url: string): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}

/** Matches the paths of a route, whose parameters are in braces and become groups. */
export function pathPattern(path: string): RegExp {
  const literal = path.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
}
