import * as z from 'zod';
import { entity, history } from '../../../src/define/entity.ts';
import { descending } from '../../../src/define/list.ts';
import { dockFaults, docks, movements, riders, rides, stationReports, stations } from './tables.ts';

export const DOCK_STATES = ['in_service', 'out_of_service'] as const;
export const PLANS = ['member', 'casual'] as const;

const Label = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^\P{Cc}*$/u, 'No control characters.');

export const District = Label;

export const station = entity({
  name: 'station',
  public: true,
  table: stations,
  key: stations.id,
  write: {
    path: 'stations',
    body: z.strictObject({ name: Label, district: Label, capacity: z.int().min(1).max(200) }),
  },
  // A report that happened before the last one and comes late changes neither.
  clocks: { reportedAt: ['bikesAvailable', 'docksFree'] },
  lists: {
    mostBikes: { orderBy: descending(stations.bikesAvailable), filter: [stations.district] },
  },
});

/** Known by its station and its number there. */
export const dock = entity({
  name: 'dock',
  table: docks,
  key: [docks.stationId, docks.number],
  write: { path: 'docks', body: z.strictObject({ state: z.enum(DOCK_STATES) }) },
});

/** Known by a UUID that the app makes. A rider is inserted with the first ride; no client writes riders directly. */
export const rider = entity({ name: 'rider', table: riders, key: riders.id });

export const rideHistory = history({
  name: 'ride',
  table: rides,
  owners: [
    { entity: rider, property: 'riderId' },
    { entity: station, property: 'startStation' },
    { entity: station, property: 'endStation' },
  ],
});

export const movementHistory = history({
  name: 'movement',
  table: movements,
  owners: [{ entity: dock, properties: { stationId: 'stationId', number: 'dock' } }],
});

export const reportHistory = history({
  name: 'report',
  table: stationReports,
  owners: [{ entity: station, property: 'stationId' }],
});

export const faultHistory = history({
  name: 'fault',
  table: dockFaults,
  owners: [{ entity: dock, properties: { stationId: 'stationId', number: 'dock' } }],
});
