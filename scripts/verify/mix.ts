import type { History } from './history.ts';

/**
 * The operations of a run. A run whose deletions, say, all fail would find nothing wrong with deletions, so each has to
 * be acknowledged, or answered, this often.
 */
const LEAST: Readonly<Record<string, number>> = {
  PUT: 5,
  DELETE: 2,
  'SQL put': 2,
  'SQL delete': 1,
  'read strong': 50,
  'read bounded': 50,
  'read eventual': 50,
  'read session': 50,
  'read product': 50,
  'read list': 10,
  'read price-list': 2,
};

/** Those of a run about features. */
const LEAST_OF_FEATURES: Readonly<Record<string, number>> = {
  purchase: 10,
  'read strong': 20,
  'read bounded': 20,
  'read eventual': 20,
  'read session': 40,
  'read features': 40,
  'read versions': 20,
  'read prediction': 20,
};

/** What a run is about: the views of products, or the features of customers and predictions from them. */
export type Subject = 'views' | 'features';

/** What there is too little of, in words. */
export function missingOf({ counts }: History, subject: Subject): string[] {
  return Object.entries(subject === 'views' ? LEAST : LEAST_OF_FEATURES)
    .map(([operation, least]) => ({ operation, least, done: counts.get(`done/${operation}`) ?? 0 }))
    .filter(({ least, done }) => done < least)
    .map(
      ({ operation, least, done }) =>
        `The run has ${done} acknowledged operations "${operation}" and needs ${least}: too few to judge them.`,
    );
}
