/**
 * The events that `POST /v1/events` accepts: for each a CloudEvents type and version, the contract of its data, and the
 * rows that it stores. Give each an `example`: `npm run dev` and `/v1/events/types` show it as an event to send.
 *
 *   import * as z from 'zod';
 *   import { append, ensure, event } from '../define/event.ts';
 *   import { reportHistory, station, StationId } from './entities.ts';
 *
 *   export const report = event({
 *     type: 'bikes.report',
 *     version: 1,
 *     description: 'A rider reported a fault at a station.',
 *     data: z.object({ stationId: StationId }),
 *     example: { stationId: 'S1' },
 *     stores: ({ stationId }, { occurredAt }) => [
 *       ensure(station, { id: stationId, name: stationId }),
 *       append(reportHistory, { stationId, occurredAt: new Date(occurredAt).toISOString() }),
 *     ],
 *   });
 */
export {};
