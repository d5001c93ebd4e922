import { Failure } from '../platform/failure.ts';
import type { SeriesAnswer } from './series.ts';

/** How often a stream asks for the counts, in milliseconds: isolates report them every five seconds. */
export const STREAM_EVERY_MS = 5_000;
/** A stream ends after this long, in milliseconds, and its client reconnects. It has asked 120 times then. */
export const STREAM_LIFE_MS = 10 * 60_000;
/** The steps of each event: the present minute, and those that late reports may still have changed. */
const STEPS_SENT = 3;

export interface SeriesStreamPorts {
  /** @throws Failure if the counters do not answer within their deadline. */
  readonly next: () => Promise<SeriesAnswer>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
  /** Called when the stream has ended, for any reason. */
  readonly leave: () => void;
}

/**
 * The newest steps of a question as text of server-sent events (HTML Living Standard §9.2): `series` events, and `failed`
 * with the code of the failure while the counters do not answer, so that a page can say so and wait.
 */
export async function* streamSeries(first: SeriesAnswer, ports: SeriesStreamPorts): AsyncGenerator<string> {
  try {
    const endsAtMs = ports.now() + STREAM_LIFE_MS;
    yield eventOf('series', newest(first));
    while (ports.now() < endsAtMs) {
      await ports.sleep(STREAM_EVERY_MS);
      try {
        yield eventOf('series', newest(await ports.next()));
      } catch (error) {
        yield eventOf('failed', { code: error instanceof Failure ? error.code : 'internal' });
      }
    }
  } finally {
    ports.leave();
  }
}

function eventOf(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The answer with its last steps alone. */
export function newest(answer: SeriesAnswer): SeriesAnswer {
  const steps = Math.min(STEPS_SENT, answer.steps);
  const from = answer.steps - steps;
  return {
    ...answer,
    steps,
    firstMinute: answer.firstMinute + from * answer.stepMinutes,
    series: answer.series
      .map((series) => ({ ...series, values: series.values.slice(from) }))
      .filter(({ values }) => values.some((value) => value > 0)),
  };
}
