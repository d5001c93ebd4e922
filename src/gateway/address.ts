import { Failure, type FailureCode } from '../platform/failure.ts';

/**
 * Addresses of requests. Reading and purging decode them by these functions alone, so that both get the same input from
 * the same address.
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

/**
 * The parameters of a query in the form that browsers send (`application/x-www-form-urlencoded`).
 *
 * @param search without the question mark.
 * @throws Failure `invalid_request` for a parameter that is given twice, because readers disagree on which one counts.
 */
export function parametersOf(search: string, pointerPrefix: string): Record<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (parameters.has(name))
      throw new Failure('invalid_request', `The parameter "${name}" is given twice. Send it once.`, {
        pointer: pointerPrefix + name,
      });
    parameters.set(name, value);
  }
  // `Object.fromEntries` defines own properties, so a parameter may be named `__proto__`.
  return Object.fromEntries(parameters);
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
