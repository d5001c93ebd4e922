/** What happens in the made-up city: rides and station reports, day by day. */
import type { EventToSend } from '../../../src/define/project.ts';
import { type Random, seededRandom } from '../../../src/platform/random.ts';
import { type City, pickStation, type Rider, type Station } from './city.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** The hours of a day by how many rides begin in them: commuters in the morning and the evening. */
const HOURS = [1, 1, 0, 0, 0, 2, 6, 14, 18, 9, 7, 8, 10, 9, 8, 9, 12, 18, 16, 11, 8, 6, 4, 2];
const HOURS_TOTAL = HOURS.reduce((sum, weight) => sum + weight, 0);
/** How often rides go back to the station near the rider's home. */
const HOMEWARD_SHARE = 0.4;
/** Rides of this share are of bikes that were not locked: the contract's rule refuses them. */
const UNLOCKED_SHARE = 0.002;
const UNLOCKED_MINUTES = 2_000;
const REPORT_EVERY_MS = 6 * 3_600_000;
/** Reports are made for this long before the end; no view reads older ones. */
const REPORTED_DAYS = 3;

export type CityEvent = EventToSend & {
  readonly source: string;
  readonly id: string;
  readonly time: string;
};

/**
 * The events of the days before `until`, in the order in which they happened.
 *
 * @param options.until milliseconds since the Unix epoch.
 */
export function cityEvents(
  city: City,
  options: { seed: number; days: number; until: number; source: string },
): CityEvent[] {
  const { seed, days, until, source } = options;
  const random = seededRandom(seed);
  const from = until - days * DAY_MS;
  const rides = city.riders.flatMap((rider) => ridesOf(rider, city, { from, until }, random));
  const reports = city.stations.flatMap((station) => reportsOf(station, until, random));
  return [...rides, ...reports]
    .sort((a, b) => a.at - b.at)
    .map(({ at, type, data }, index) => ({
      source,
      id: `${type}-${index + 1}`,
      time: new Date(at).toISOString(),
      type,
      data,
    }));
}

interface Happened {
  readonly at: number;
  readonly type: string;
  readonly data: unknown;
}

function ridesOf(
  rider: Rider,
  { stations }: City,
  span: { from: number; until: number },
  random: Random,
): Happened[] {
  const days = (span.until - span.from) / DAY_MS;
  const expected = (rider.ridesPerWeek * days) / 7;
  const count = Math.floor(expected * (0.7 + 0.6 * random()) + random());
  return Array.from({ length: count }, () => {
    const day = Math.floor(random() * days);
    const at = span.from + day * DAY_MS + hour(random) * 3_600_000 + Math.floor(random() * 3_600_000);
    const start = random() < 0.5 ? rider.home : pickStation(stations, random);
    const end = random() < HOMEWARD_SHARE ? rider.home : pickStation(stations, random);
    const isUnlocked = random() < UNLOCKED_SHARE;
    const minutes = Math.max(2, Math.round(rider.minutes * (0.55 + 0.9 * random())));
    return {
      at: Math.min(at, span.until - MINUTE_MS),
      type: 'bikes.ride.v1',
      data: {
        rider: rider.id,
        plan: rider.plan,
        bike: `B${1 + Math.floor(random() * 900)}`,
        startStation: start.id,
        startDock: 1 + Math.floor(random() * start.capacity),
        endStation: end.id,
        endDock: 1 + Math.floor(random() * end.capacity),
        minutes: isUnlocked ? UNLOCKED_MINUTES : minutes,
      },
    };
  });
}

function reportsOf(station: Station, until: number, random: Random): Happened[] {
  const count = Math.floor((REPORTED_DAYS * DAY_MS) / REPORT_EVERY_MS);
  let bikes = Math.floor(station.capacity / 2);
  return Array.from({ length: count }, (_, index) => {
    const change = Math.round((random() - 0.5) * 8);
    bikes = Math.min(station.capacity, Math.max(0, bikes + change));
    return {
      at: until - (count - index) * REPORT_EVERY_MS + Math.floor(random() * MINUTE_MS),
      type: 'bikes.station-report.v1',
      data: { station: station.id, bikes, docksFree: station.capacity - bikes },
    };
  });
}

/** An hour of the day, the busier the likelier. */
function hour(random: Random): number {
  let left = random() * HOURS_TOTAL;
  const found = HOURS.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return found === -1 ? HOURS.length - 1 : found;
}
