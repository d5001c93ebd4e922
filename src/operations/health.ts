import { withTimeout } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';

/** Longer than any healthy dependency takes to answer. */
const CHECK_TIMEOUT_MS = 2_000;

export interface Health {
  readonly status: 'ok' | 'unavailable';
  readonly checks: Readonly<Record<string, 'ok' | 'unavailable'>>;
}

/**
 * Runs all checks concurrently. A check that throws or times out is unavailable. The reason is logged and not shown.
 */
export async function checkHealth(checks: Readonly<Record<string, () => Promise<void>>>): Promise<Health> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        await withTimeout(
          check(),
          CHECK_TIMEOUT_MS,
          () => new Error(`${name} took longer than ${CHECK_TIMEOUT_MS} ms`),
        );
        return [name, 'ok'] as const;
      } catch (error) {
        log(
          'warn',
          'A dependency is not available.',
          { 'event.action': 'health', 'millrace.dependency': name },
          error,
        );
        return [name, 'unavailable'] as const;
      }
    }),
  );
  const status = results.every(([, result]) => result === 'ok') ? 'ok' : 'unavailable';
  return { status, checks: Object.fromEntries(results) };
}
