/**
 * Features of an entity, for models and for `POST /v1/features/read`: counts and sums of events over windows of whole days,
 * last times, items, and columns of the entity's row.
 *
 *   import { feature } from '../define/feature.ts';
 *   import { station } from './entities.ts';
 *   import { report } from './events.ts';
 *   import { stations } from './tables.ts';
 *
 *   export const stationReports = feature.count({
 *     name: 'reports',
 *     entity: station,
 *     event: report,
 *     key: ({ stationId }) => stationId,
 *     windowsDays: [7, 30],
 *   });
 *
 *   // It follows the row, whoever writes it.
 *   export const stationName = feature.column({ name: 'station_name', entity: station, column: stations.name });
 */
export {};
