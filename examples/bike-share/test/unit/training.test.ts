import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeRuntime } from '../../../../scripts/models/node-runtime.ts';
import { cellsOf, mergeCells } from '../../../../src/features/fold.ts';
import { readFeature } from '../../../../src/features/read.ts';
import { riderLastRide, riderMinutes, riderRides } from '../../catalog/features.ts';
import { rideMinutes } from '../../catalog/models.ts';
import { makeCity } from '../../seed/city.ts';
import { cityEvents } from '../../seed/days.ts';
import { trainRideMinutes } from '../../training/recipe.ts';
import { COLUMNS, featuresAt, type Ride } from '../../training/rows.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1, 15, 30);
const RIDER = '7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b10';
const FEATURES = [riderRides, riderMinutes, riderLastRide];

/** Rides of one rider in the 60 days before now, some at the edges of days. */
const ridesOfOne = fc.array(
  fc.record({
    minutes: fc.integer({ min: 1, max: 120 }),
    at: fc.oneof(
      fc.integer({ min: NOW - 60 * DAY_MS, max: NOW - 1 }),
      fc.integer({ min: 0, max: 60 }).map((days) => (Math.floor(NOW / DAY_MS) - days) * DAY_MS),
    ),
  }),
  { minLength: 1, maxLength: 60 },
);

test('the rows of training equal the answers of the feature store', () => {
  fc.assert(
    fc.property(ridesOfOne, (rides) => {
      const dock = { startStation: 101, startDock: 1, endStation: 102, endDock: 1 };
      const cells = mergeCells(
        rides.flatMap(({ minutes, at }, seq) =>
          cellsOf(FEATURES, {
            seq,
            type: riderRides.eventType,
            occurredAt: at,
            data: { rider: RIDER, plan: 'member', bike: 'B1', ...dock, minutes },
          }),
        ),
      );
      const stored = Object.fromEntries(
        FEATURES.flatMap((definition) =>
          Object.entries(
            readFeature(
              definition,
              cells.filter((cell) => cell.feature === definition.name),
              NOW,
            ),
          ).map(([name, { value }]) => [name, value]),
        ),
      );
      const columns = [
        riderRides.window(7),
        riderRides.window(30),
        riderMinutes.window(7),
        riderMinutes.window(30),
        riderLastRide.ageDays(),
      ].map((reference) => reference.read(stored[reference.readName], NOW));
      expect(featuresAt(rides, NOW)).toEqual(columns);
    }),
  );
});

test('the columns are those of the declaration, in its order', () => {
  expect(Object.keys(rideMinutes.inputs['features']?.columns ?? {})).toEqual([...COLUMNS]);
});

test('the model of a generated city beats the mean, and two trainings give the same bytes', async () => {
  const city = makeCity({ seed: 3, stations: 10, riders: 80 });
  const events = cityEvents(city, { seed: 3, days: 60, until: NOW, source: '/test' });
  const rides = events.flatMap(({ type, data, time }): Ride[] => {
    if (type !== 'bikes.ride.v1') return [];
    const { rider, minutes } = data as { rider: string; minutes: number };
    return [{ rider, minutes, at: Date.parse(time) }];
  });
  const first = await trainRideMinutes(rides, { seed: 1, runtime: nodeRuntime });
  expect(first.metrics.mae_minutes).toBeLessThan(first.metrics.baseline_mae_minutes * 0.95);
  const again = await trainRideMinutes(rides, { seed: 1, runtime: nodeRuntime });
  expect(again.onnx).toEqual(first.onnx);
});

test('training refuses too few rides and says how many it needs', async () => {
  await expect(trainRideMinutes([], { seed: 1, runtime: nodeRuntime })).rejects.toThrow(
    /too few to train on; at least 267 are needed/,
  );
});
