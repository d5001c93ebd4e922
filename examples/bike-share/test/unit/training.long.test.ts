import { expect, test } from 'vitest';
import { rideMinutes } from '../../catalog/models.ts';
import { makeCity } from '../../seed/city.ts';
import { cityEvents } from '../../seed/days.ts';
import { eventsOf, type Ride, trainFromRides } from '../../training/rides.ts';

const NOW = Date.UTC(2026, 5, 1, 15, 30);
const city = makeCity({ seed: 3, stations: 40, riders: 500 });
const rides = cityEvents(city, { seed: 3, days: 75, until: NOW, source: '/test' }).flatMap(
  ({ type, data, time }): Ride[] => {
    if (type !== 'bikes.ride.v1') return [];
    const { rider, minutes } = data as { rider: string; minutes: number };
    return [{ rider, minutes, at: Date.parse(time) }];
  },
);

test('the model of a generated city beats the mean, by the rows and the evaluation of a run', async () => {
  const { bundle, run, manifest } = await trainFromRides(rides, { seed: 1 });
  expect([run.evaluation?.verdict, run.evaluation?.baseline.name]).toEqual(['better', 'mean_label']);
  expect(run.evaluation?.gains.baseline?.low).toBeGreaterThan(0);
  expect(bundle.manifest.inputs[0]?.columns).toEqual(
    Object.keys(rideMinutes.inputs['features']?.columns ?? {}),
  );
  // A row for each ride after the time before the first row, but for bikes that were not locked.
  const from = rides.reduce((least, { at }) => Math.min(least, at), NOW) + 28 * 86_400_000;
  const later = rides.filter(({ at }) => at >= from);
  const ridden = later.filter(({ minutes }) => minutes <= 120);
  expect(ridden.length).toBeLessThan(later.length);
  expect(manifest.rows.train + manifest.rows.validation + manifest.rows.test).toBe(ridden.length);

  const again = await trainFromRides(rides.toReversed(), { seed: 1 });
  expect(again.manifest.digest).toBe(manifest.digest);
  expect(again.bundle.manifest.version).toBe(bundle.manifest.version);
  expect(again.bundle.golden).toEqual(bundle.golden);
});

test('the events of rides are valid, and the same in any order', () => {
  const [first] = eventsOf(rides);
  expect(first).toMatchObject({ seq: 1, type: 'bikes.ride.v1' });
  expect(eventsOf(rides.toReversed())).toEqual(eventsOf(rides));
});

test('training refuses too few rides, and says why', async () => {
  await expect(trainFromRides([], { seed: 1 })).rejects.toThrow('There are no rides to train on.');
  await expect(trainFromRides(rides.slice(0, 50), { seed: 1 })).rejects.toThrow();
});
