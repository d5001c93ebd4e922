/** Which purchases a training reads: those of the real shop or of the made-up one, never both, and of one period. */
import { DAY_MS } from '../catalog/ranker.ts';
import { isMadeUp } from '../seed/made-up.ts';
import { MIN_HISTORY_DAYS, type Purchase } from './purchases.ts';

/** A gap between purchases that divides their history, in days: the shop was closed, or the lines are of another time. */
const GAP_DAYS = 56;

export interface Chosen {
  readonly isMadeUp: boolean;
  readonly purchases: readonly Purchase[];
  /** Purchases of the other kind. */
  readonly leftOut: number;
  /** Purchases of the same kind beyond a gap. */
  readonly apart: number;
}

/**
 * Chooses the real purchases if their history is long enough to train on, else the made-up ones. A model of both would
 * describe no shop: its newest days would be made up, and its popular products would come from two shops.
 *
 * Of the chosen kind it takes only the newest period that has no gap and is long enough. Otherwise a single line sent by
 * hand beside a file of another year would be the newest day, with no history before it.
 */
export function choosePurchases(all: readonly Purchase[]): Chosen {
  const real: Purchase[] = [];
  const invented: Purchase[] = [];
  for (const purchase of all)
    (isMadeUp(purchase.sku) || isMadeUp(purchase.customer) ? invented : real).push(purchase);
  const stretch = newestStretch(real);
  const isReal = stretch !== null || invented.length === 0;
  const kind = isReal ? real : invented;
  const purchases = (isReal ? stretch : newestStretch(invented)) ?? kind;
  return {
    isMadeUp: !isReal,
    purchases,
    leftOut: isReal ? invented.length : real.length,
    apart: kind.length - purchases.length,
  };
}

/** The newest purchases without a gap whose history can be trained on, in the given order; null if there are none. */
function newestStretch(purchases: readonly Purchase[]): readonly Purchase[] | null {
  const times = Float64Array.from(purchases, ({ at }) => at).sort();
  for (let end = times.length - 1; end >= 0; ) {
    let start = end;
    while (start > 0 && (times[start] ?? 0) - (times[start - 1] ?? 0) <= GAP_DAYS * DAY_MS) start -= 1;
    const [from, to] = [times[start] ?? 0, times[end] ?? 0];
    if (to - from >= MIN_HISTORY_DAYS * DAY_MS) return purchases.filter(({ at }) => from <= at && at <= to);
    end = start - 1;
  }
  return null;
}

/** What a training is about to read, in one line. */
export function describePurchases(
  { isMadeUp: isInvented, purchases, leftOut, apart }: Chosen,
  sources: readonly { readonly source: string; readonly events: number }[],
): string {
  const kind = isInvented ? 'The made-up shop' : 'Real data';
  const range = rangeOf(purchases);
  const origin = sources.map(({ source, events }) => `${source} (${count(events)})`).join(', ');
  const customers = new Set(purchases.map(({ customer }) => customer)).size;
  const products = new Set(purchases.map(({ sku }) => sku)).size;
  const others = [
    ...(leftOut === 0
      ? []
      : [
          isInvented
            ? `${count(leftOut)} real lines, because their history is too short to train on`
            : `${count(leftOut)} lines of the made-up shop`,
        ]),
    ...(apart === 0
      ? []
      : [
          `${count(apart)} lines of other periods, separated by more than ${GAP_DAYS} days without a purchase`,
        ]),
  ];
  return [
    `${kind}: ${count(purchases.length)} purchase lines of ${count(customers)} customers and ${count(products)} products`,
    range === null ? '' : `, ${day(range.from)} to ${day(range.to)} (${count(daysOf(range))} days)`,
    origin === '' ? '' : `, from ${origin}`,
    '.',
    others.length === 0 ? '' : ` Left out: ${others.join(', and ')}.`,
  ].join('');
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** The first and the last moment of purchases; null without any. */
export function rangeOf(purchases: readonly Purchase[]): Range | null {
  const [first] = purchases;
  if (first === undefined) return null;
  let [from, to] = [first.at, first.at];
  for (const { at } of purchases) {
    if (at < from) from = at;
    if (at > to) to = at;
  }
  return { from, to };
}

function daysOf({ from, to }: Range): number {
  return Math.floor(to / DAY_MS) - Math.floor(from / DAY_MS) + 1;
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
