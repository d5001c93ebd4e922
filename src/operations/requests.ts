import type { CounterSample, ExemplarSample } from '../platform/counters.ts';
import { durationNames, TimedOutcomes, type TracedDuration } from '../platform/durations.ts';

/** Requests, by method, route and status. */
export const REQUESTS = 'millrace_http_requests_total';
export const REQUEST_DURATIONS = durationNames('millrace_http_request');
/** The route of requests that no route took. */
export const NO_ROUTE = '(none)';

/** A request that was answered: method, route, status, and when it arrived, in milliseconds since the Unix epoch. */
export type RequestCount = readonly [method: string, route: string, status: number, startedMs: number];

/**
 * Counts requests by method, route and status, and their durations by route: rate, errors and duration of each route. It
 * runs on every warm hit, so a known series costs three map look-ups and builds no text.
 */
export class RequestCounts {
  readonly #methods = new Map<string, Map<string, TimedOutcomes<number>>>();

  /**
   * @param route its path as the OpenAPI document has it, never the address of the request: the number of series is that of
   *   the routes.
   * @param ms from the arrival of the request to the head of its answer, in milliseconds.
   * @param traced its trace, if that is exported.
   */
  record(method: string, route: string, status: number, ms: number, traced?: TracedDuration): void {
    let routes = this.#methods.get(method);
    if (routes === undefined) {
      routes = new Map();
      this.#methods.set(method, routes);
    }
    let counted = routes.get(route);
    if (counted === undefined) {
      counted = new TimedOutcomes();
      routes.set(route, counted);
    }
    counted.add(status, ms, traced);
  }

  /** The newest exported trace of each bucket of each route since the last `drain`. */
  exemplars(): ExemplarSample[] {
    return [...this.#methods].flatMap(([method, routes]) =>
      [...routes].flatMap(([route, counted]) => counted.exemplars(REQUEST_DURATIONS, { method, route })),
    );
  }

  /** The counts since the last call. */
  drain(): CounterSample[] {
    const samples = [...this.#methods].flatMap(([method, routes]) =>
      [...routes].flatMap(([route, counted]) =>
        counted.samples([REQUESTS, 'status'], REQUEST_DURATIONS, { method, route }),
      ),
    );
    this.#methods.clear();
    return samples;
  }
}
