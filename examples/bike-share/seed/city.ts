/** A made-up city: the same seed gives the same stations, riders and rides, whatever the machine. */
import { type Random, seededRandom } from '../../../src/platform/random.ts';

export interface Station {
  readonly id: number;
  readonly name: string;
  readonly district: string;
  readonly capacity: number;
  /** How much of the city's traffic begins here, relative to the others. */
  readonly busyness: number;
}

export interface Rider {
  readonly id: string;
  readonly plan: 'member' | 'casual';
  /** Rides a week, on average. */
  readonly ridesPerWeek: number;
  /** Minutes of a usual ride. */
  readonly minutes: number;
  readonly home: Station;
}

export interface City {
  readonly stations: readonly Station[];
  readonly riders: readonly Rider[];
}

/** Ids begin here, so that those of tests and examples below it never meet made-up ones. */
export const FIRST_STATION = 1_001;
const DISTRICTS = ['Harbour', 'Old Town', 'Hillside', 'University', 'Riverside'] as const;
const PLACES = ['Square', 'Market', 'Station', 'Park', 'Bridge', 'Library', 'Gate', 'Mill'] as const;
const CASUAL_SHARE = 0.35;

export function makeCity(options: { seed: number; stations: number; riders: number }): City {
  const random = seededRandom(options.seed);
  const stations = Array.from({ length: options.stations }, (_, index): Station => {
    const district = DISTRICTS[index % DISTRICTS.length] ?? 'Harbour';
    const place = PLACES[Math.floor(index / DISTRICTS.length) % PLACES.length] ?? 'Square';
    const round = Math.floor(index / (DISTRICTS.length * PLACES.length));
    return {
      id: FIRST_STATION + index,
      name: `${district} ${place}${round === 0 ? '' : ` ${round + 1}`}`,
      district,
      capacity: 12 + 2 * Math.floor(random() * 7),
      busyness: 0.4 + 1.6 * random(),
    };
  });
  const riders = Array.from({ length: options.riders }, (): Rider => {
    const isCasual = random() < CASUAL_SHARE;
    return {
      id: uuid(random),
      plan: isCasual ? 'casual' : 'member',
      ridesPerWeek: (isCasual ? 0.4 : 3) * (0.4 + 1.2 * random()),
      minutes: (isCasual ? 24 : 11) * (0.6 + 0.8 * random()),
      home: pickStation(stations, random),
    };
  });
  return { stations, riders };
}

/** A station, the busier the likelier. */
export function pickStation(stations: readonly Station[], random: Random): Station {
  const total = stations.reduce((sum, { busyness }) => sum + busyness, 0);
  let left = random() * total;
  for (const station of stations) {
    left -= station.busyness;
    if (left < 0) return station;
  }
  const last = stations.at(-1);
  if (last === undefined) throw new RangeError('A city has at least one station.');
  return last;
}

/** A version 4 UUID (RFC 9562 §5.4) from the seed's own numbers. */
function uuid(random: Random): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  digits[12] = '4';
  digits[16] = (8 + Math.floor(random() * 4)).toString(16);
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
