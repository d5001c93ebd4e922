/** The progress of a long task that may be stopped and continued by another run. */
export interface Progress {
  /** The plural of what is counted, e.g. `events`. */
  readonly unit: string;
  /** How many all runs have done. */
  readonly done: number;
  /** About how many there are, where only the share is known exactly. */
  readonly total?: number;
  /** How many this run has done. */
  readonly doneByRun: number;
  /** The share of the whole task that is done, 0 to 1, and what it was when this run began. */
  readonly fraction: number;
  readonly fractionAtStart: number;
  /** Milliseconds since this run began. */
  readonly elapsedMs: number;
}

export interface Reporter {
  progress(progress: Progress): void;
  notice(text: string): void;
  /** Ends the line that a bar is drawn on. */
  finish(): void;
}

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const BAR_WIDTH = 24;
/** A bar is redrawn ten times a second at most: more is not seen. */
const BAR_INTERVAL_MS = 100;
/** A log gets one line in this time. */
const LOG_INTERVAL_MS = 10_000;
const CLEAR_LINE = '\r\u001b[K';

/** One line of text about a run's progress. */
export function describeProgress(progress: Progress): string {
  const { unit, done, total, doneByRun, fraction, fractionAtStart, elapsedMs } = progress;
  const rate = elapsedMs > 0 ? (doneByRun / elapsedMs) * 1000 : 0;
  const share = fraction - fractionAtStart;
  const leftMs = share > 0 ? (elapsedMs / share) * (1 - fraction) : Number.NaN;
  return [
    `${(fraction * 100).toFixed(1).padStart(5)} %`,
    `${done.toLocaleString('en-US')}${total === undefined ? '' : ` of about ${total.toLocaleString('en-US')}`} ${unit}`,
    `${Math.round(rate).toLocaleString('en-US')}/s`,
    `ETA ${Number.isNaN(leftMs) ? '-' : clockTime(leftMs)}`,
  ].join('  ');
}

/** Draws a bar in a terminal and writes a plain line now and then elsewhere. */
export function createReporter(output: Output, now: () => number): Reporter {
  const bar = output.isTTY === true;
  const intervalMs = bar ? BAR_INTERVAL_MS : LOG_INTERVAL_MS;
  let shownAt = bar ? Number.NEGATIVE_INFINITY : now();
  let drawn = false;
  const clear = (): void => {
    if (drawn) output.write(CLEAR_LINE);
    drawn = false;
  };
  return {
    progress: (progress) => {
      if (now() - shownAt < intervalMs) return;
      shownAt = now();
      const text = describeProgress(progress);
      output.write(bar ? `${CLEAR_LINE}${drawBar(progress.fraction)} ${text}` : `${text}\n`);
      drawn = bar;
    },
    notice: (text) => {
      clear();
      output.write(`${text}\n`);
    },
    finish: clear,
  };
}

function drawBar(fraction: number): string {
  const filled = Math.min(BAR_WIDTH, Math.round(fraction * BAR_WIDTH));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}

function clockTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}
