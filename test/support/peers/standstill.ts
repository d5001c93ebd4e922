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
