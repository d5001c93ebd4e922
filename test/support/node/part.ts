/**
 * With `TEST_PART=1` the longest suites run in part, as CI does so that it ends within its time: fewer seeds, and of the
 * deliberate faults every few. `npm run test:all` runs them whole.
 */
export const IS_PART = process.env['TEST_PART'] === '1';

/** All of these; in a part, every `n`th. */
export function partOf<T>(all: readonly T[], n: number): readonly T[] {
  return IS_PART ? all.filter((_, index) => index % n === 0) : all;
}

/** `whole`; in a part, that fraction of it. */
export function shareOf(whole: number, part: number): number {
  return IS_PART ? Math.ceil(whole * part) : whole;
}
