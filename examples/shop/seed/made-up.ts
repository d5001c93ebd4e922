/**
 * What every id of the made-up shop begins with. No invoice, stock code or customer of the real data sets does, so
 * made-up and real data can be told apart by any of their ids, and no row belongs to both.
 */
export const MADE_UP_PREFIX = 'demo-';

/** An id of the made-up shop. */
export function madeUp(id: string | number): string {
  return `${MADE_UP_PREFIX}${id}`;
}

/** Whether a customer or a stock code is one of the made-up shop. */
export function isMadeUp(id: string): boolean {
  return id.startsWith(MADE_UP_PREFIX);
}
