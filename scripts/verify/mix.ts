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

/** What there is too little of, in words. */
export function missingOf({ counts }: History): string[] {
  return Object.entries(LEAST)
    .map(([operation, least]) => ({ operation, least, done: counts.get(`done/${operation}`) ?? 0 }))
    .filter(({ least, done }) => done < least)
    .map(
      ({ operation, least, done }) =>
        `The run has ${done} acknowledged operations "${operation}" and needs ${least}: too few to judge them.`,
    );
}
