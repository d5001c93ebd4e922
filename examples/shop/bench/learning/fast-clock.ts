/** The shop's ranking on a clock on which a day takes fractions of a second: a season passes in minutes. */

import { cachePolicy } from '../../../../src/define/cache-policy.ts';
import { dataset } from '../../../../src/define/dataset.ts';
import type { ItemCount } from '../../../../src/define/feature-value.ts';
import { feedback, feedbackOf } from '../../../../src/define/feedback.ts';
import type { RankingModel } from '../../../../src/define/model.ts';
import { retrainingOf } from '../../../../src/define/retraining.ts';
import { ANY_SCORES, rolloutOf } from '../../../../src/define/rollout.ts';
import { recipeOf } from '../../../../src/define/training-recipe.ts';
import { buildCandidateTable, TABLE_LIMITS } from '../../catalog/candidate-table.ts';
import { customer } from '../../catalog/entities.ts';
import { purchase } from '../../catalog/events.ts';
import { ranker } from '../../catalog/models.ts';
import { type CandidateProduct, isProduct } from '../../catalog/ranker.ts';

const DAY_MS = 86_400_000;
/** How long a day of the shop takes, in milliseconds. */
export const SHOP_DAY_MS = 400;
/** A day of the shop, in days. */
const DAY = SHOP_DAY_MS / DAY_MS;
/** How long an answer waits for a purchase: 28 days of the shop, in whole seconds. */
export const WITHIN_S = Math.round((28 * SHOP_DAY_MS) / 1_000);

/** How long an answer lives, in seconds: some days of the shop. In the first of it no label of a rollout's step is counted. */
const TTL_S = 2;
/** Products of a season are soon as old as this, in days of the shop. Without it, a season drifts by growing older. */
const AGE_DAYS_MAX = 60;

/** A customer's items are those of so many days of the shop, and count as if these were so many purchases. */
const [ITEMS_WITHIN_DAYS, ITEMS_COUNT] = [180, 24];

/**
 * The items of the last half year, with their shares of the purchases in place of all of them. The shop is hardly older than
 * its windows: what a customer has ever bought, and how often, would grow in all rows, and be a drift of its own.
 */
function recentOf(items: readonly ItemCount[], at: number): ItemCount[] {
  const recent = items.filter(({ lastAt }) => at - lastAt < ITEMS_WITHIN_DAYS * DAY_MS);
  const total = recent.reduce((sum, { count }) => sum + count, 0);
  return recent.map(({ count, ...item }) => ({
    ...item,
    count: 1 + (ITEMS_COUNT * count) / total,
  }));
}

/** A moment as the shop's own code reads it: as many of its days from `origin` as there were fast ones. */
function slow(at: number, origin: number): number {
  return origin + (at - origin) / DAY;
}

/**
 * The shop's own rows and candidates, with moments read on the fast clock. Only its windows in days are not: how many
 * products the customer bought in the last 30 and 90 days stands in for them. A year of the shop is longer than its history
 * here, so what is counted over it would grow by itself.
 */
export const fastRanker: RankingModel = {
  ...withoutExclusion(ranker),
  policy: cachePolicy({ ttlS: TTL_S, probe: false }),
  description: 'Which products a customer will buy next, in a shop whose days take fractions of a second.',
  training: recipeOf({ kind: 'trees', trees: 40, leaves: 15, leafRows: 20 }, 'binary'),
  dataset: dataset.ofItems({
    ...{ entity: customer, event: purchase, horizonDays: 28 * DAY, everyDays: 3.5 * DAY, negatives: 20 },
    ...{ warmUpDays: 56 * DAY, split: { validationDays: 28 * DAY, testDays: 52.5 * DAY } },
    key: ({ customerId }) => customerId,
    item: ({ sku }) => (isProduct(sku) ? sku : null),
  }),
  retraining: retrainingOf({
    ...{ onDrift: true, falseAlarmRows: 10_000, debounceMinutes: 1, historyDays: 182 * DAY },
    knowledge: 'snapshot',
  }),
  feedback: feedbackOf(
    feedback.ofItems({
      ...{ entity: customer, event: purchase, within: `${WITHIN_S}s`, lateMinutes: 0 },
      key: ({ customerId }) => customerId,
      item: ({ sku }) => sku,
    }),
  ),
  // A version of another season has other scores: its hits and misses say whether it is worse.
  rollout: rolloutOf({
    ...{ start: 'automatic', shadow: { requests: 30, seconds: 6 }, shares: [20, 50], slowMs: 1_000 },
    ...{ canary: { requests: 20, seconds: 6, labels: 20 }, tolerances: { scores: ANY_SCORES } },
    ...{ stepWithinSeconds: 240, withinSeconds: 900 },
  }),
  makeCandidates: (history, asOf) => {
    const slowed = Array.from(history, ({ key, events }) => ({
      key,
      events: events.map(({ item, at }) => ({ item, at: slow(at, asOf) })),
    }));
    const { popular, ...table } = buildCandidateTable(slowed, asOf, TABLE_LIMITS);
    const aged = ({ age_days: days, ...product }: CandidateProduct) => ({
      ...product,
      age_days: Math.min(days, AGE_DAYS_MAX),
    });
    return { ...table, popular: popular.map(aged) };
  },
  parseCandidates: (json) => {
    const candidates = ranker.parseCandidates(json);
    const origin = Number(Reflect.get(Object(json), 'asOf'));
    return {
      ...candidates,
      isNew: (features) => (features['items'] as readonly ItemCount[]).length === 0,
      assemble: (features, items, now) => {
        const at = slow(now, origin);
        const own = recentOf(
          (features['items'] as readonly ItemCount[]).map(({ lastAt, ...item }) => ({
            ...item,
            lastAt: slow(lastAt, origin),
          })),
          at,
        );
        const within = (days: number) =>
          own.reduce((sum, { lastAt }) => sum + (at - lastAt < days * DAY_MS ? 1 : 0), 0);
        const last = features['last_purchase_at'];
        const slowed = {
          ...{ purchases_30d: within(30), purchases_365d: within(90), items: own },
          last_purchase_at: typeof last === 'number' ? slow(last, origin) : null,
        };
        return candidates.assemble(slowed, items, at);
      },
    };
  },
};

/** Within a day of the shop nobody has bought anything: all of it happened on the last one of the calendar. */
function withoutExclusion({ exclude: _, reasons: __, ...others }: RankingModel): RankingModel {
  return others;
}
