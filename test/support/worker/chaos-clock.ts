/** The wall clock of this isolate, which an experiment of `npm run chaos` can set wrong. It has to be imported first. */

let skewMs = 0;

const SystemDate = globalThis.Date;

class SkewedDate extends SystemDate {
  constructor(...given: [] | [value: number | string | Date]) {
    if (given.length === 0) super(SkewedDate.now());
    else super(...given);
  }

  static override now(): number {
    return SystemDate.now() + skewMs;
  }
}

// The constructor of the language takes seven numbers as well; nothing in the worker calls it so.
globalThis.Date = SkewedDate as DateConstructor;

/** @param ms how far the clock is ahead of the time from now on; negative: behind it. */
export function setSkew(ms: number): void {
  skewMs = ms;
}
