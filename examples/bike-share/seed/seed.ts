import type { Query, SeedPorts } from '../../../src/define/project.ts';
import { type City, makeCity } from './city.ts';
import { cityEvents } from './days.ts';

const CITY = { seed: 7, stations: 40, riders: 500 };
const DAYS = 75;
/** Parameters of one statement: Postgres takes 65,535. */
const ROWS_PER_STATEMENT = 500;

/** Fills an empty database with a made-up city, and 75 days of rides up to now. */
export async function seedBikeShare({ now, send, query }: SeedPorts): Promise<string> {
  const city = makeCity(CITY);
  const docks = await insertPlaces(city, query);
  const events = cityEvents(city, { seed: CITY.seed, days: DAYS, until: now, source: '/seed' });
  const { accepted, refused } = await send(events);
  const number = (count: number) => count.toLocaleString('en');
  return (
    `a made-up city: ${city.stations.length} stations with ${docks} docks, ` +
    `${number(accepted)} rides and reports of ${DAYS} days, and ${number(refused)} events in quarantine`
  );
}

/** Stations and docks come from the operator's own system, so they are rows and no events. */
async function insertPlaces({ stations }: City, query: Query): Promise<number> {
  await insert(
    query,
    'insert into stations (id, name, district, capacity)',
    stations.map(({ id, name, district, capacity }) => [id, name, district, capacity]),
  );
  const docks = stations.flatMap(({ id, capacity }) =>
    Array.from({ length: capacity }, (_, index) => [id, index + 1, 'in_service']),
  );
  await insert(query, 'insert into docks (station_id, number, state)', docks);
  return docks.length;
}

async function insert(query: Query, into: string, rows: readonly (readonly unknown[])[]): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
    const some = rows.slice(start, start + ROWS_PER_STATEMENT);
    let parameter = 0;
    const tuples = some.map((row) => `(${row.map(() => `$${++parameter}`).join(', ')})`);
    await query(`${into} values ${tuples.join(', ')}`, some.flat());
  }
}
