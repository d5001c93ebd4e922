/** Which purchases a training reads: those of the real shop or those of the made-up one, and never both. */
import { DAY_MS } from '../catalog/ranker.ts';
import { isMadeUp } from '../seed/made-up.ts';
import { planCutoffs } from './dataset.ts';
import type { Purchase } from './purchases.ts';

export interface Chosen {
  readonly isMadeUp: boolean;
  readonly purchases: readonly Purchase[];
  /** Purchases of the other kind. */
  readonly leftOut: number;
}

/**
 * The real purchases if their history is long enough to train on, else the made-up ones. A model of both would describe
 * no shop: the newest days, which it follows, are made up, and its popular products are those of two shops.
 */
export function choosePurchases(all: readonly Purchase[]): Chosen {
  const real: Purchase[] = [];
  const invented: Purchase[] = [];
  for (const purchase of all)
    (isMadeUp(purchase.sku) || isMadeUp(purchase.customer) ? invented : real).push(purchase);
  const range = rangeOf(real);
  const isRealEnough = range !== null && planCutoffs(range.from, range.to) !== null;
  return isRealEnough || invented.length === 0
    ? { isMadeUp: false, purchases: real, leftOut: invented.length }
    : { isMadeUp: true, purchases: invented, leftOut: real.length };
}

/** What a training is about to read, in one line. */
export function describePurchases(
  { isMadeUp: isInvented, purchases, leftOut }: Chosen,
  sources: readonly { readonly source: string; readonly events: number }[],
): string {
  const kind = isInvented ? 'The made-up shop' : 'Real data';
  const range = rangeOf(purchases);
  const origin = sources.map(({ source, events }) => `${source} (${count(events)})`).join(', ');
  const customers = new Set(purchases.map(({ customer }) => customer)).size;
  const products = new Set(purchases.map(({ sku }) => sku)).size;
  const others = isInvented
    ? `${count(leftOut)} lines of other sources, which are too few or too recent to train on`
    : `${count(leftOut)} lines of the made-up shop`;
  return [
    `${kind}: ${count(purchases.length)} purchase lines of ${count(customers)} customers and ${count(products)} products`,
    range === null ? '' : `, ${day(range.from)} to ${day(range.to)} (${count(daysOf(range))} days)`,
    origin === '' ? '' : `, from ${origin}`,
    '.',
    leftOut === 0 ? '' : ` Left out: ${others}.`,
  ].join('');
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function rangeOf(purchases: readonly Purchase[]): Range | null {
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
