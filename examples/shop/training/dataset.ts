/**
 * The training set: rows as of past moments. A row's features use purchases before its cutoff only, its label
 * is what the customer bought in the days after it. Splits go by time, never at random.
 */

import { hashedFraction, hashText } from '../../../src/platform/random.ts';
import { buildCandidateTable, type TableLimits } from '../catalog/candidate-table.ts';
import {
  type CandidateTable,
  type CustomerSnapshot,
  candidatesFor,
  DAY_MS,
  RANKER_WIDTH,
  rankerRows,
} from '../catalog/ranker.ts';
import { boughtBetween, itemsBefore, type PurchaseHistory, snapshotAsOf } from './purchases.ts';

/** The label: bought within this many days after the cutoff; also the length of the held-out period. */
export const LABEL_DAYS = 28;
/** Days of history before the first cutoff, so that its popularity and neighbours mean something. */
export const WARM_UP_DAYS = 56;
/** Most training cutoffs; older ones describe a shop that no longer exists. */
export const MAX_CUTOFFS = 8;
/** The shortest history that leaves one training cutoff and the held-out weeks. */
export const MIN_HISTORY_DAYS = WARM_UP_DAYS + 2 * LABEL_DAYS;
/** Rows kept of a customer's unbought candidates at one cutoff, on average. */
const NEGATIVES_PER_CUSTOMER = 30;

/** When training looks and when it is judged; all in ms since the epoch. */
export interface CutoffPlan {
  /** Oldest first. Each label window ends no later than the held-out cutoff. */
  readonly training: readonly number[];
  /** The held-out weeks are `[heldOut, end)`. */
  readonly heldOut: number;
  readonly end: number;
}

/** The tensors of a training set and where each row came from. */
export interface Dataset {
  /** `[rows, RANKER_WIDTH]`, row-major. */
  readonly features: Float32Array;
  /** 1 when the customer bought the product in the label window. */
  readonly labels: Uint8Array;
  /** What the row counts in the loss: unbought candidates are sampled and stand for those left out. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly origins: readonly RowOrigin[];
}

/** Which customer, product and moment a row describes. */
export interface RowOrigin {
  readonly customer: string;
  readonly sku: string;
  readonly cutoff: number;
}

/**
 * Places the cutoffs: the last {@link LABEL_DAYS} days are held out, training cutoffs step back from there.
 *
 * @param from the first purchase, @param to the last one (ms since the epoch).
 * @returns null when the history is shorter than {@link MIN_HISTORY_DAYS}.
 */
export function planCutoffs(from: number, to: number): CutoffPlan | null {
  const end = to + 1;
  const step = LABEL_DAYS * DAY_MS;
  const heldOut = end - step;
  const training: number[] = [];
  for (let cutoff = heldOut - step; training.length < MAX_CUTOFFS; cutoff -= step) {
    if (cutoff < from + WARM_UP_DAYS * DAY_MS) break;
    training.push(cutoff);
  }
  return training.length === 0 ? null : { training: training.reverse(), heldOut, end };
}

/** One customer at one cutoff: what was known and what followed. */
export interface Case {
  readonly customer: string;
  readonly snapshot: CustomerSnapshot;
  readonly bought: ReadonlySet<string>;
}

/** The customers that bought something in the label window after `cutoff`, with their features as of it. */
export function casesAt(history: PurchaseHistory, cutoff: number): Case[] {
  const cases: Case[] = [];
  for (const [customer, lines] of history.customers) {
    const bought = boughtBetween(lines, cutoff, cutoff + LABEL_DAYS * DAY_MS);
    if (bought.size > 0) cases.push({ customer, snapshot: snapshotAsOf(lines, cutoff), bought });
  }
  return cases;
}

/**
 * Builds the rows of every cutoff. Customers that bought nothing in a label window have no order to learn and
 * are left out: a score is the probability of buying the product given that the customer buys at all.
 *
 * Whether an unbought candidate is kept depends on the seed and its own key only, so no purchase can change
 * which other rows exist.
 *
 * @param limits the size of the candidate tables, as for {@link buildCandidateTable}.
 */
export function buildDataset(
  history: PurchaseHistory,
  cutoffs: readonly number[],
  seed: number,
  limits?: TableLimits,
): Dataset {
  const sink = new RowSink();
  for (const cutoff of cutoffs) {
    const table = buildCandidateTable(itemsBefore(history, cutoff), cutoff, limits);
    const basis = hashText(`${seed}:${cutoff}`);
    for (const one of casesAt(history, cutoff)) sink.addCase(one, table, cutoff, basis);
  }
  return sink.finish();
}

class RowSink {
  readonly #blocks: Float32Array[] = [];
  readonly #labels: number[] = [];
  readonly #weights: number[] = [];
  readonly #origins: RowOrigin[] = [];

  addCase(one: Case, table: CandidateTable, cutoff: number, basis: number): void {
    const candidates = candidatesFor(one.snapshot, table);
    const keep = Math.min(1, NEGATIVES_PER_CUSTOMER / Math.max(candidates.length, 1));
    const customerBasis = hashText(one.customer, basis);
    const kept = candidates.filter((sku) => one.bought.has(sku) || hashedFraction(customerBasis, sku) < keep);
    for (const sku of kept) {
      const label = one.bought.has(sku) ? 1 : 0;
      this.#labels.push(label);
      this.#weights.push(label === 1 ? 1 : 1 / keep);
      this.#origins.push({ customer: one.customer, sku, cutoff });
    }
    this.#blocks.push(rankerRows(one.snapshot, kept, table, cutoff));
  }

  finish(): Dataset {
    const rows = this.#labels.length;
    const features = new Float32Array(rows * RANKER_WIDTH);
    let offset = 0;
    for (const block of this.#blocks) {
      features.set(block, offset);
      offset += block.length;
    }
    return {
      features,
      labels: Uint8Array.from(this.#labels),
      weights: Float32Array.from(this.#weights),
      rows,
      origins: this.#origins,
    };
  }
}
