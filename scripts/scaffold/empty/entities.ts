/**
 * The data that answers depend on: entities (rows of a table with a key) and histories (tables that events append to).
 *
 *   import * as z from 'zod';
 *   import { entity, history } from '../define/entity.ts';
 *   import { reports, stations } from './tables.ts';
 *
 *   export const StationId = z.string().min(1).max(32);
 *
 *   export const station = entity({
 *     name: 'station',
 *     table: stations,
 *     key: stations.id,
 *     keySchema: StationId,
 *     // With `write`, clients may PUT and DELETE /v1/stations/{key}.
 *     write: { path: 'stations', body: z.strictObject({ name: z.string().min(1).max(200) }) },
 *   });
 *
 *   export const reportHistory = history({
 *     name: 'report',
 *     table: reports,
 *     owners: [{ entity: station, property: 'stationId' }],
 *   });
 */
export {};
