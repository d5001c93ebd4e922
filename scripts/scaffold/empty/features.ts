/**
 * Features of an entity, computed from events, for models and for `POST /v1/features/read`: counts and sums over windows
 * of whole days, last times, and items.
 *
 *   import { feature } from '../define/feature.ts';
 *   import { station } from './entities.ts';
 *   import { report } from './events.ts';
 *
 *   export const stationReports = feature.count({
 *     name: 'reports',
 *     entity: station,
 *     event: report,
 *     key: ({ stationId }) => stationId,
 *     windowsDays: [7, 30],
 *   });
 */
export {};
