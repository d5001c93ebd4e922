import type { components } from '../../src/client/index.ts';

type Report = components['schemas']['Alerts'];

/** The rules are evaluated once a minute. */
const ASK_EVERY_MS = 15_000;
/** How long the report may be unavailable, in milliseconds. */
const UNANSWERED_MS_MAX = 120_000;

export interface WatchPorts {
  /** The alerts as of the newest evaluation. */
  readonly report: () => Promise<Pick<Report, 'evaluatedAt' | 'alerts'>>;
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** A time that is watched; moments in milliseconds since the Unix epoch. */
export interface Watched {
  /** Alerts that began to fire earlier are not the doing of what is watched. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

/**
 * Waits until a time is over, or an objective burns its budget so fast that its alert pages somebody.
 *
 * @returns undefined if none did; otherwise what burns, or why nobody can know.
 */
export async function burning(
  { report, sleep, now }: WatchPorts,
  { sinceMs, untilMs }: Watched,
): Promise<string | undefined> {
  let answeredMs = now();
  let evaluatedMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      const { alerts, evaluatedAt } = await report();
      answeredMs = now();
      evaluatedMs = evaluatedAt === null ? evaluatedMs : Date.parse(evaluatedAt);
      const found = alerts.filter(
        (alert) => isBurn(alert) && Date.parse(alert.firedAt ?? alert.since) >= sinceMs,
      );
      if (found.length > 0) return [...new Set(found.map(({ summary }) => summary))].join(' ');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (now() - answeredMs >= UNANSWERED_MS_MAX) return `The alerts cannot be read: ${reason}`;
    }
    const leftMs = untilMs - now();
    if (leftMs <= 0)
      return evaluatedMs >= sinceMs ? undefined : 'The rules of the alerts were not evaluated meanwhile.';
    await sleep(Math.min(ASK_EVERY_MS, leftMs));
  }
}

function isBurn({ state, severity, labels }: Report['alerts'][number]): boolean {
  return state === 'firing' && severity === 'page' && labels['objective'] !== undefined;
}
