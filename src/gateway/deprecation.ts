import type { Replaced } from '../define/view.ts';

/** The moments of an announced end, in milliseconds since the Unix epoch. */
export interface End {
  readonly since: number;
  readonly sunset: number | undefined;
}

/**
 * `Deprecation` (RFC 9745: a structured date), `Sunset` (RFC 8594: an HTTP date), and where to read about both.
 *
 * @param links the values of `Link` (RFC 8288), without the first.
 */
export function deprecationHeaders(
  end: End,
  { describedBy, links = [] }: { readonly describedBy: string; readonly links?: readonly string[] },
): Record<string, string> {
  return {
    deprecation: `@${end.since / 1_000}`,
    ...(end.sunset === undefined ? {} : { sunset: new Date(end.sunset).toUTCString() }),
    link: [`<${describedBy}>; rel="deprecation"; type="application/json"`, ...links].join(', '),
  };
}

/**
 * The headers of an earlier version's answer: the end that its declaration announces, and the address of the current
 * version (RFC 5829 §3.3) with the request's own parameters.
 */
export function replacedHeaders(replaced: Replaced, parameters: Readonly<Record<string, string>>) {
  const successor = replaced.by.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
  const end = {
    since: Date.parse(replaced.since),
    sunset: replaced.sunset === undefined ? undefined : Date.parse(replaced.sunset),
  };
  return deprecationHeaders(end, {
    describedBy: '/openapi.json',
    links: [`<${successor}>; rel="successor-version"`],
  });
}
