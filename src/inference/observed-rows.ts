/** Rows that an isolate has answered, on their way to the object that watches for drift. */

/** The name of the column that has the answers. No column of a declaration can have it. */
export const SCORE = '(score)';

/** How long rows are collected before they are sent, in milliseconds. */
const SEND_EVERY_MS = 2_000;
/** A sending that has not begun after this time is lost with the request that kept it alive, in milliseconds. */
const LOST_AFTER_MS = 10_000;
/** How long no rows are collected of a version that nobody watches, in milliseconds. */
const UNWATCHED_MS = 60_000;
/** The most rows of one sending; the other rows of its time are not watched. */
export const OBSERVED_ROWS_MAX = 100;
/** The most versions of one sending, and the most that are known to be unwatched: a catalog has fewer models. */
const VERSIONS_MAX = 64;

/** Rows of one version, in the order in which they were answered. */
export interface ObservedRows {
  readonly version: string;
  /** The names of the columns; the score of the answer is the last one. */
  readonly columns: readonly string[];
  /** A value for each column; NaN is missing. */
  readonly rows: readonly (readonly number[])[];
}

export interface ObservedPorts {
  readonly now: () => number;
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly pause: (ms: number) => Promise<void>;
  /** @returns whether the version is watched. */
  readonly send: (model: string, rows: ObservedRows) => Promise<boolean>;
}

/** One answered row. */
export interface ObservedRow {
  readonly columns: readonly string[];
  readonly values: readonly number[];
}

interface Collected {
  readonly model: string;
  readonly version: string;
  readonly columns: readonly string[];
  readonly rows: (readonly number[])[];
}

/**
 * Collects answered rows for two seconds and sends them, at most 100 of a version. Rows are sent once: those that cannot be
 * sent are lost, which only delays the sight of a drift.
 */
export class ObservedRowsOfIsolate {
  readonly #collected = new Map<string, Collected>();
  readonly #unwatchedUntil = new Map<string, number>();
  #begunMs = Number.NEGATIVE_INFINITY;

  /** @param row is only called if the row is collected. */
  saw(model: string, version: string, row: () => ObservedRow, ports: ObservedPorts): void {
    const name = `${model}@${version}`;
    const now = ports.now();
    if ((this.#unwatchedUntil.get(name) ?? 0) > now) return;
    let collected = this.#collected.get(name);
    if (collected === undefined ? this.#collected.size >= VERSIONS_MAX : isFull(collected)) return;
    const { columns, values } = row();
    collected ??= { model, version, columns, rows: [] };
    collected.rows.push(values);
    this.#collected.set(name, collected);
    if (now - this.#begunMs < LOST_AFTER_MS) return;
    this.#begunMs = now;
    ports.keepAlive(this.#send(ports));
  }

  async #send({ pause, send, now }: ObservedPorts): Promise<void> {
    await pause(SEND_EVERY_MS);
    const all = [...this.#collected];
    this.#collected.clear();
    this.#begunMs = Number.NEGATIVE_INFINITY;
    const sending = all.map(async ([name, { model, ...rows }]) => {
      // An object that does not answer is asked as rarely as one that does not watch.
      const isWatched = await send(model, rows).catch(() => false);
      if (isWatched) return;
      if (this.#unwatchedUntil.size >= VERSIONS_MAX) this.#unwatchedUntil.clear();
      this.#unwatchedUntil.set(name, now() + UNWATCHED_MS);
    });
    await Promise.all(sending);
  }
}

function isFull({ rows }: Collected): boolean {
  return rows.length >= OBSERVED_ROWS_MAX;
}
