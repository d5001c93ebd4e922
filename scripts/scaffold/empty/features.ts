/**
 * Features of an entity, computed from events or columns of its row, for models and for `POST /v1/features/read`: counts and sums over windows
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
 *
 * A column of the entity's table is a feature, too, which follows the row:
 *
 *   export const stationDistrict = feature.column({ name: 'district', entity: station, column: stations.district });
 */
export {};
