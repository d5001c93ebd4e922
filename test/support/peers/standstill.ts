/**
 * Above this time of `/health/live`, in milliseconds, the machine stood still for parts of the measurement, and peers
 * without trouble miss their deadlines. Such a measurement says nothing, and is made again.
 */
const STANDSTILL_MS = 400;
const MEASUREMENTS_MAX = 5;

export interface Measured {
  /** Each answer that is other or later than its table says. */
  readonly wrong: readonly string[];
  /** The longest time of `/health/live` meanwhile. */
  readonly slowestMs: number;
}

/** The pause between two samples, in milliseconds. */
const SAMPLE_MS = 50;

/**
 * Asks over and over for an answer that needs nothing, while something else is measured. A moment in which the machine
 * stands still is found whenever it comes, and not only if it comes between two requests.
 *
 * @param ask takes as long as the machine lets it, for instance `/health/live` of the isolate that is measured.
 * @returns what `measured` returns, and the longest time that `ask` took, in milliseconds.
 */
export async function besideSamples<R>(
  ask: () => Promise<unknown>,
  measured: () => Promise<R>,
): Promise<readonly [R, slowestMs: number]> {
  let slowestMs = 0;
  let isOver = false;
  const sampling = (async () => {
    while (!isOver) {
      const begun = performance.now();
      await ask();
      slowestMs = Math.max(slowestMs, performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  try {
    const result = await measured();
    isOver = true;
    await sampling;
    return [result, slowestMs];
  } finally {
    isOver = true;
  }
}

/** The last repetition that was begun. */
let repetition: Promise<unknown> = Promise.resolve();

/**
 * Measures until the machine did not stand still, or nothing was wrong. On a machine that keeps up, once. Several
 * measurements may be made at once; repetitions are made one after the other, so that they find the machine less busy.
 *
 * @param measure is told how many measurements were made before; it may ask for less at once then.
 */
export async function judged<M extends Measured>(measure: (made: number) => Promise<M>): Promise<M> {
  let measured = await measure(0);
  for (let made = 1; made < MEASUREMENTS_MAX && !isJudged(measured); made += 1) {
    const next = repetition.then(() => measure(made));
    repetition = next.catch(() => undefined);
    measured = await next;
  }
  return measured;
}

function isJudged({ wrong, slowestMs }: Measured): boolean {
  return wrong.length === 0 || slowestMs <= STANDSTILL_MS;
}
