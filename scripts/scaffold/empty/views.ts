/**
 * The answers that clients read: for each a route, its query, and the tags that it depends on. Millrace reads an answer
 * again once one of its tags is invalidated, so `tags` must name everything that would change the answer.
 *
 *   import { count, eq } from 'drizzle-orm';
 *   import * as z from 'zod';
 *   import { view } from '../define/view.ts';
 *   import { reportHistory, station, StationId } from './entities.ts';
 *   import { reports } from './tables.ts';
 *
 *   export const stationReports = view({
 *     name: 'station-reports',
 *     path: '/v1/stations/{id}/reports',
 *     description: 'How many faults were reported at a station.',
 *     params: { id: StationId },
 *     response: z.object({ reports: z.int() }),
 *     load: async (db, { id }) => {
 *       const [row] = await db.select({ reports: count() }).from(reports).where(eq(reports.stationId, id));
 *       return { reports: row?.reports ?? 0 };
 *     },
 *     tags: ({ id }) => [reportHistory.of(station, id)],
 *   });
 */
export {};
