import { defineProject, type Query, type SmokeRead } from '../../src/define/project.ts';

/** The bike-share: a made-up city with 75 days of rides, a model that is trained here and one that is not. */
export const project = defineProject({
  migrations: 'examples/bike-share/migrations',
  tables: 'examples/bike-share/catalog/tables.ts',
  adopted: 'examples/bike-share/catalog/adopted.ts',
  contracts: 'examples/bike-share/catalog/contracts',
  seed: async (ports) => (await import('./seed/seed.ts')).seedBikeShare(ports),
  models: {
    'ride-minutes': { train: 'examples/bike-share/train.ts' },
    'departures-tomorrow': { bundle: 'examples/bike-share/models/departures-tomorrow' },
  },
  tryOut: async (query) => {
    const last = await lastRide(query);
    if (last === undefined) return undefined;
    const { rider, station, dock, otherStation } = last;
    return [
      { get: `/v1/stations/${station}`, note: 'two stations; the answers are cached' },
      { get: `/v1/stations/${otherStation}` },
      { send: rideAfter(last), note: 'a ride from the first one back to it; 201 says that it is stored' },
      { get: `/v1/stations/${station}`, note: `fresh, one more ride has ended: ${FRESH}` },
      { get: `/v1/stations/${otherStation}`, note: 'not touched by it: still a hit' },
      {
        get: `/v1/stations/${station}/docks/${dock}`,
        note: 'the dock, the rider, and what the models predict',
      },
      { get: `/v1/stations/${station}/departures-tomorrow` },
      { get: `/v1/riders/${rider}/next-ride` },
      { get: `/v1/riders/${rider}/rides?limit=3` },
    ];
  },
  smoke: async (query) => {
    const last = await lastRide(query);
    if (last === undefined)
      throw new Error('The smoke run of the bike-share needs rides, and the database has none: seed it.');
    const { rider, station, dock, otherStation } = last;
    return {
      send: rideAfter(last),
      fresh: [
        {
          get: `/v1/stations/${station}`,
          isFresh: isMoreBy(1, (body) => fieldOf(fieldOf(body, 'rides'), 'ended')),
        },
        {
          get: `/v1/stations/${station}/docks/${dock}`,
          // The bike leaves the dock and comes back to it.
          isFresh: isMoreBy(2, (body) => fieldOf(body, 'movements')),
        },
        { get: `/v1/riders/${rider}`, isFresh: isMoreBy(1, (body) => fieldOf(body, 'rides')) },
        { get: `/v1/riders/${rider}/rides` },
        predicted(`/v1/riders/${rider}/next-ride`),
        predicted(`/v1/stations/${station}/departures-tomorrow`),
      ],
      unrelated: [`/v1/stations/${otherStation}`, `/v1/stations/${otherStation}/departures-tomorrow`],
    };
  },
});

const FRESH = 'Cache-Status says fwd=stale, or hit where it was filled ahead';

interface LastRide {
  readonly rider: string;
  readonly station: number;
  readonly dock: number;
  /** A station that the ride did not touch. */
  readonly otherStation: number;
}

async function lastRide(query: Query): Promise<LastRide | undefined> {
  const [row] = await query(`
    select rider_id, end_station, end_dock,
      (select min(id) from stations where id not in (start_station, end_station)) as other
    from rides order by occurred_at desc, event_seq desc limit 1`);
  if (row === undefined) return undefined;
  return {
    rider: String(row['rider_id']),
    station: Number(row['end_station']),
    dock: Number(row['end_dock']),
    otherStation: Number(row['other']),
  };
}

/** The rider of the last ride takes the bike once more, and brings it back to the same dock. */
function rideAfter({ rider, station, dock }: LastRide) {
  const place = { startStation: station, startDock: dock, endStation: station, endDock: dock };
  return { type: 'bikes.ride.v1', data: { rider, plan: 'member', bike: 'B1', ...place, minutes: 9 } };
}

/** A prediction by a published version, which the ride changes. */
function predicted(path: string): SmokeRead {
  return {
    get: path,
    before: { what: 'the model answers', holds: (body) => fieldOf(body, 'source') === 'model' },
    isFresh: (before, after) => fieldOf(before, 'value') !== fieldOf(after, 'value'),
  };
}

function isMoreBy(difference: number, of: (body: unknown) => unknown) {
  return (before: unknown, after: unknown) => Number(of(after)) === Number(of(before)) + difference;
}

function fieldOf(body: unknown, name: string): unknown {
  return Reflect.get(Object(body), name);
}
