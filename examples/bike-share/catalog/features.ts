import { feature } from '../../../src/define/feature.ts';
import { rider, station } from './entities.ts';
import { ride, stationReport } from './events.ts';
import { stations } from './tables.ts';

export const riderRides = feature.count({
  name: 'rides',
  entity: rider,
  event: ride,
  key: ({ rider: id }) => id,
  windowsDays: [7, 30],
});

export const riderMinutes = feature.sum({
  name: 'minutes',
  entity: rider,
  event: ride,
  key: ({ rider: id }) => id,
  value: ({ minutes }) => minutes,
  windowsDays: [7, 30],
});

export const riderLastRide = feature.last({
  name: 'last_ride_at',
  entity: rider,
  event: ride,
  key: ({ rider: id }) => id,
});

export const stationDepartures = feature.count({
  name: 'departures',
  entity: station,
  event: ride,
  key: ({ startStation }) => startStation,
  windowsDays: [1, 7],
});

export const stationArrivals = feature.count({
  name: 'arrivals',
  entity: station,
  event: ride,
  key: ({ endStation }) => endStation,
  windowsDays: [1, 7],
});

export const stationReported = feature.last({
  name: 'last_report_at',
  entity: station,
  event: stationReport,
  key: ({ station: id }) => id,
});

/** Rows of the operator's own system: whoever changes one changes the feature. */
export const stationDistrict = feature.column({
  name: 'district',
  entity: station,
  column: stations.district,
});

export const stationCapacity = feature.column({
  name: 'capacity',
  entity: station,
  column: stations.capacity,
});

/** How many bikes leave on a day, of as many as the station has docks for. */
export const stationTurnover = feature.ratio({
  name: 'departures_per_dock_1d',
  of: stationDepartures.window(1),
  to: stationCapacity.value(),
});
