import { dataset } from '../../../src/define/dataset.ts';
import { feedback } from '../../../src/define/feedback.ts';
import { model } from '../../../src/define/model.ts';
import { fromFeature } from '../../../src/define/model-input.ts';
import { rider, station } from './entities.ts';
import { ride } from './events.ts';
import { riderLastRide, riderMinutes, riderRides, stationArrivals, stationDepartures } from './features.ts';

/** Stands in for "never": longer ago than a rider's history is kept. */
const NEVER_DAYS = 365;

/** A longer ride has no row: the bike was not locked, and its minutes would outweigh those of all others. */
const RIDDEN_MINUTES_MAX = 120;

/** Trained here: `train.ts`. */
export const rideMinutes = model.regression({
  name: 'ride-minutes',
  description: "How long a rider's next ride will be, in minutes.",
  entity: rider,
  path: '/v1/riders/{id}/next-ride',
  inputs: {
    features: {
      columns: {
        rides_7d: fromFeature(riderRides.window(7), { default: 0 }),
        rides_30d: fromFeature(riderRides.window(30), { default: 0 }),
        minutes_7d: fromFeature(riderMinutes.window(7), { default: 0 }),
        minutes_30d: fromFeature(riderMinutes.window(30), { default: 0 }),
        days_since_ride: fromFeature(riderLastRide.ageDays(), { default: NEVER_DAYS }),
      },
    },
  },
  outputs: { value: 'minutes' },
  dataset: dataset.ofEvents({
    ...{ entity: rider, event: ride, split: { validationDays: 7, testDays: 7 } },
    key: ({ rider: id }) => id,
    value: ({ minutes }) => (minutes <= RIDDEN_MINUTES_MAX ? minutes : null),
  }),
  training: { kind: 'network', hidden: [8], epochs: 12 },
  // The made-up city has 75 days of rides, which were all stored when it was seeded.
  retraining: {
    ...{ afterEvents: 5_000, everyDays: 7, onDrift: true, falseAlarmRows: 10_000 },
    ...{ historyDays: 60, knowledge: 'snapshot' },
  },
  // The next ride within a week was as long as predicted, within five minutes.
  feedback: feedback.ofAnswers({
    ...{ entity: rider, event: ride, within: '7d' },
    key: ({ rider: id }) => id,
    value: ({ minutes }) => minutes,
    hits: (minutes, { value }) => Math.abs(minutes - Number(value)) <= 5,
  }),
  rollout: { start: 'automatic' },
  // The mean of all rides, where no version can answer.
  fallback: { value: 14 },
});

/** Made outside: `outside/departures.py` writes the ONNX file as scikit-learn's exporter does. */
export const departuresTomorrow = model.regression({
  name: 'departures-tomorrow',
  public: true,
  description: 'How many rides will begin at a station on the next day.',
  entity: station,
  path: '/v1/stations/{id}/departures-tomorrow',
  inputs: {
    X: {
      columns: {
        departures_1d: fromFeature(stationDepartures.window(1), { default: 0 }),
        departures_7d: fromFeature(stationDepartures.window(7), { default: 0 }),
        arrivals_1d: fromFeature(stationArrivals.window(1), { default: 0 }),
        arrivals_7d: fromFeature(stationArrivals.window(7), { default: 0 }),
      },
    },
  },
  outputs: { value: 'variable' },
  dataset: dataset.ofPeriods({
    ...{ entity: station, event: ride, horizonDays: 1, warmUpDays: 7, measure: 'count' },
    split: { validationDays: 7, testDays: 7 },
    key: ({ startStation }) => startStation,
  }),
});
