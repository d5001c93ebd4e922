import { type CounterReport, type CounterSample, Counters } from '../platform/counters.ts';

/** Requests of deprecated versions, by version and principal. */
export const DEPRECATED_REQUESTS = 'millrace_deprecated_requests_total';

/**
 * The most principals of one version that an isolate counts by themselves between two flushes; the rest count as
 * `others`. The object that adds up all counts keeps 2,000 series, and an announced end concerns a few dozen callers.
 */
const PRINCIPALS_MAX = 50;
const OTHERS = 'others';
/** A label's longest text. */
const LABEL_CHARACTERS_MAX = 128;

/** Counts who uses deprecated versions. It writes nothing: its counts go with the isolate's next flush. */
export class DeprecatedUse {
  readonly #counters = new Counters();
  readonly #principals = new Map<string, Set<string>>();

  /** @param principal as the cache key has it: `key:1f0c…`, `anonymous`. */
  record(version: string, principal: string): void {
    const known = this.#principals.get(version) ?? new Set();
    this.#principals.set(version, known);
    const isCounted = known.has(principal) || known.size < PRINCIPALS_MAX;
    if (isCounted) known.add(principal);
    const label = (text: string) => text.slice(0, LABEL_CHARACTERS_MAX);
    this.#counters.add(DEPRECATED_REQUESTS, {
      version: label(version),
      principal: isCounted ? label(principal) : OTHERS,
    });
  }

  /** Returns the counts since the last call, and resets them. */
  drain(): CounterSample[] {
    this.#principals.clear();
    return this.#counters.drain();
  }
}

/** The requests of one principal for one deprecated version. */
export interface DeprecatedUser {
  readonly principal: string;
  /** Since the first count. */
  readonly total: number;
  /** In the last hour. */
  readonly lastHour: number;
}

/** The principals that use each deprecated version, those with the most requests of the last hour first. */
export function deprecatedUsers({ totals, windows }: CounterReport): ReadonlyMap<string, DeprecatedUser[]> {
  const ofName = (samples: readonly CounterSample[]) =>
    samples.filter(({ name }) => name === DEPRECATED_REQUESTS);
  const lastHour = new Map(
    ofName(windows[60]).map(({ labels, value }) => [
      JSON.stringify([labels['version'], labels['principal']]),
      value,
    ]),
  );
  const byVersion = Map.groupBy(ofName(totals), ({ labels }) => labels['version'] ?? '');
  return new Map(
    [...byVersion].map(([version, samples]) => [
      version,
      samples
        .map(({ labels: { principal = '' }, value }) => ({
          principal,
          total: value,
          lastHour: lastHour.get(JSON.stringify([version, principal])) ?? 0,
        }))
        .toSorted((a, b) => b.lastHour - a.lastHour || b.total - a.total),
    ]),
  );
}

/** A report without the principals: an id in `/metrics` would be a series of its own, and readable where metrics are. */
export function withoutPrincipals(samples: readonly CounterSample[]): CounterSample[] {
  const kept = samples.filter(({ name }) => name !== DEPRECATED_REQUESTS);
  const sums = new Map<string, number>();
  for (const { name, labels, value } of samples)
    if (name === DEPRECATED_REQUESTS)
      sums.set(labels['version'] ?? '', (sums.get(labels['version'] ?? '') ?? 0) + value);
  const summed = [...sums].map(([version, value]) => ({
    name: DEPRECATED_REQUESTS,
    labels: { version },
    value,
  }));
  return [...kept, ...summed];
}
