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

/** `npm run test:all` sets TEST_WHOLE. */
const IS_WHOLE = process.env['TEST_WHOLE'] === '1' && !IS_PART;

/** How often `npm test` and CI try a property that `npm run test:all` tries `whole` times. */
export function runsOf(whole: number): number {
  return IS_WHOLE ? whole : Math.ceil(whole / 4);
}
