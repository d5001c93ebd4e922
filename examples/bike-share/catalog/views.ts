import { and, count, eq, gte, sum } from 'drizzle-orm';
import * as z from 'zod';
import { descending } from '../../../src/define/list.ts';
import { NextCursor } from '../../../src/define/list-cursor.ts';
import { rowOrder } from '../../../src/define/row-order.ts';
import { timestampText } from '../../../src/define/sort-time.ts';
import { view } from '../../../src/define/view.ts';
import {
  District,
  DOCK_STATES,
  dock,
  faultHistory,
  movementHistory,
  PLANS,
  rideHistory,
  rider,
  station,
} from './entities.ts';
import { dockFaults, docks, movements, riders, rides, stations } from './tables.ts';

/** Fits the greatest number of tags of one entry: a page may depend on each of its rows. */
const PAGE_ROWS_MAX = 100;

const Station = z.object({
  id: z.int(),
  name: z.string(),
  district: z.string(),
  capacity: z.int(),
  bikesAvailable: z.int(),
  docksFree: z.int(),
});

export const stationList = view({
  name: 'stations',
  path: '/v1/stations',
  public: true,
  description: "A district's stations, most bikes first; `next` is what `after` wants for the next page.",
  query: {
    district: District,
    after: station.lists.mostBikes.cursor.optional(),
    limit: z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(20),
  },
  response: z.object({ stations: z.array(Station), next: NextCursor }),
  load: async (db, { district, ...query }) => {
    const { id, name, capacity, bikesAvailable, docksFree } = stations;
    const select = { id, name, district: stations.district, capacity, bikesAvailable, docksFree };
    const filter = { district };
    const { rows, next, tags } = await station.lists.mostBikes.read(db, { ...query, filter, select });
    return { stations: rows, next, tags };
  },
  tags: (_query, page) => page?.tags ?? [],
});

export const stationPage = view({
  name: 'station',
  path: '/v1/stations/{id}',
  public: true,
  description: 'One station: what its last report said, and how many rides began and ended there.',
  params: station.params,
  response: Station.extend({
    reportedAt: z.string().nullable(),
    rides: z.object({ begun: z.int(), ended: z.int() }),
  }),
  load: async (db, { id }) => {
    const [row] = await db.select().from(stations).where(eq(stations.id, id));
    if (row === undefined) return null;
    const { ridesBegun, ridesEnded, reportedAt, ...shown } = row;
    return {
      ...shown,
      reportedAt: reportedAt === null ? null : timestampText(reportedAt),
      rides: { begun: ridesBegun, ended: ridesEnded },
    };
  },
  tags: ({ id }) => [station.row(id)],
});

const DAY_MS = 24 * 3_600_000;

export const stationToday = view({
  name: 'station-last-day',
  path: '/v1/stations/{id}/last-day',
  public: true,
  description: 'How many rides began at a station, and ended there, within the last 24 hours.',
  params: station.params,
  now: { granularityS: 60 },
  response: z.object({ station: z.int(), begun: z.int(), ended: z.int() }),
  load: async (db, { id }, { now }) => {
    const since = gte(rides.occurredAt, new Date(now - DAY_MS).toISOString());
    const [[begun], [ended]] = await db.batch([
      db
        .select({ rides: count() })
        .from(rides)
        .where(and(eq(rides.startStation, id), since)),
      db
        .select({ rides: count() })
        .from(rides)
        .where(and(eq(rides.endStation, id), since)),
    ]);
    return { station: id, begun: begun?.rides ?? 0, ended: ended?.rides ?? 0 };
  },
  tags: ({ id }) => [rideHistory.of(station, id)],
});

export const dockPage = view({
  name: 'dock',
  path: '/v1/stations/{stationId}/docks/{number}',
  public: true,
  description: 'One dock, with the faults that were reported of it and how often bikes came and went.',
  params: dock.params,
  response: z.object({
    stationId: z.int(),
    number: z.int(),
    state: z.enum(DOCK_STATES),
    faults: z.int(),
    movements: z.int(),
  }),
  load: async (db, { stationId, number }) => {
    const [[row], [faults], [moved]] = await db.batch([
      db
        .select()
        .from(docks)
        .where(and(eq(docks.stationId, stationId), eq(docks.number, number))),
      db
        .select({ faults: count() })
        .from(dockFaults)
        .where(and(eq(dockFaults.stationId, stationId), eq(dockFaults.dock, number))),
      db
        .select({ movements: count() })
        .from(movements)
        .where(and(eq(movements.stationId, stationId), eq(movements.dock, number))),
    ]);
    if (row === undefined) return null;
    const state = z.enum(DOCK_STATES).parse(row.state);
    return { ...row, state, faults: faults?.faults ?? 0, movements: moved?.movements ?? 0 };
  },
  tags: (key) => [dock.row(key), faultHistory.of(dock, key), movementHistory.of(dock, key)],
});

export const riderPage = view({
  name: 'rider',
  path: '/v1/riders/{id}',
  description: 'One rider, with the sum of their rides.',
  params: rider.params,
  response: z.object({
    id: z.string(),
    plan: z.enum(PLANS),
    rides: z.int(),
    minutes: z.int(),
  }),
  load: async (db, { id }) => {
    const [[row], [total]] = await db.batch([
      db.select().from(riders).where(eq(riders.id, id)),
      db
        .select({ rides: count(), minutes: sum(rides.minutes).mapWith(Number) })
        .from(rides)
        .where(eq(rides.riderId, id)),
    ]);
    if (row === undefined) return null;
    return {
      id,
      plan: z.enum(PLANS).parse(row.plan),
      rides: total?.rides ?? 0,
      minutes: total?.minutes ?? 0,
    };
  },
  tags: ({ id }) => [rider.row(id), rideHistory.of(rider, id)],
});

/** Newest first; the number of the event decides between rides that ended at the same time. */
const newestRides = rowOrder(rides, descending(rides.occurredAt), descending(rides.eventSeq));

export const riderRides = view({
  name: 'rider-rides',
  path: '/v1/riders/{id}/rides',
  description: "A rider's rides, newest first; `next` is what `before` wants for the next page.",
  params: rider.params,
  query: {
    before: newestRides.cursor.optional(),
    limit: z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(20),
  },
  response: z.object({
    rides: z.array(
      z.object({
        bike: z.string(),
        startStation: z.int(),
        endStation: z.int(),
        minutes: z.int(),
        endedAt: z.string(),
      }),
    ),
    next: NextCursor,
  }),
  load: async (db, { id, before, limit }) => {
    const rows = await db
      .select({ ride: rides, cursor: newestRides.cursorColumn })
      .from(rides)
      .where(and(eq(rides.riderId, id), before === undefined ? undefined : newestRides.after(before)))
      .orderBy(...newestRides.order)
      .limit(limit);
    return {
      rides: rows.map(({ ride: { bike, startStation, endStation, minutes, occurredAt } }) => ({
        bike,
        startStation,
        endStation,
        minutes,
        endedAt: timestampText(occurredAt),
      })),
      next: rows.length === limit ? (rows.at(-1)?.cursor ?? null) : null,
    };
  },
  tags: ({ id }) => [rideHistory.of(rider, id)],
});
