/** A made-up shop with structure to find: tastes, favourites that are bought again, and a few best sellers. */

import { type Random, seededRandom } from '../../../../../src/platform/random.ts';
import { DAY_MS } from '../../../catalog/ranker.ts';
import type { Purchase } from '../../../training/purchases.ts';

export const SHOP_START = Date.UTC(2025, 0, 1);
const GROUPS = 6;
const PRODUCTS_PER_GROUP = 20;

function sku(group: number, product: number): string {
  return `G${group}-${String(product).padStart(2, '0')}`;
}

function basket(group: number, favourites: readonly number[], random: Random): string[] {
  return Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
    const draw = random();
    if (draw < 0.4) return sku(group, favourites[Math.floor(random() * favourites.length)] ?? 0);
    if (draw < 0.8) return sku(group, Math.floor(random() * PRODUCTS_PER_GROUP));
    return sku(Math.floor(random() * GROUPS), Math.floor(random() ** 3 * PRODUCTS_PER_GROUP));
  });
}

/** Purchases of `customers` customers over `days` days, from {@link SHOP_START}; the same seed gives the same shop. */
export function syntheticPurchases(customers: number, days: number, seed: number): Purchase[] {
  const random = seededRandom(seed);
  const purchases: Purchase[] = [];
  for (let number = 0; number < customers; number += 1) {
    const group = Math.floor(random() * GROUPS);
    const favourites = Array.from({ length: 3 }, () => Math.floor(random() * PRODUCTS_PER_GROUP));
    for (let day = random() * 40; day < days; day += 5 + random() * 30) {
      const at = SHOP_START + Math.floor(day * DAY_MS);
      for (const item of basket(group, favourites, random)) {
        purchases.push({ sku: item, customer: `C${number}`, quantity: 1, at });
      }
    }
  }
  return purchases;
}
