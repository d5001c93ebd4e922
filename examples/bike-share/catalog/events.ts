import * as z from 'zod';
import { append, event, increment, set, upsert } from '../../../src/define/event.ts';
import { custom, distribution, freshness, range, referential } from '../../../src/define/quality.ts';
import {
  dock,
  faultHistory,
  movementHistory,
  PLANS,
  reportHistory,
  rideHistory,
  rider,
  station,
} from './entities.ts';

/** How far the clock of a station may run ahead of ours, in milliseconds. */
const FUTURE_TOLERANCE_MS = 5 * 60_000;
/** Longer rides are bikes that were not locked, or stolen. */
const PLAUSIBLE_MINUTES_MAX = 12 * 60;
const CAPACITY_MAX = 200;

const StationId = z.int().min(1).max(99_999);
const DockNumber = z.int().min(1).max(CAPACITY_MAX);

const notFromTheFuture = custom<unknown>({
  name: 'occurred_in_the_future',
  dimension: 'timeliness',
  mode: 'blocking',
  pointer: '/time',
  detail: 'The event says that it happened more than five minutes from now.',
  holds: (_, { occurredAt, now }) => occurredAt <= now + FUTURE_TOLERANCE_MS,
});

/** Stations send at once, and keep what they could not send for an hour; what is a day old is history. */
const soon = freshness({ maxAgeMs: 3_600_000, historyMs: 24 * 3_600_000 });

const moment = (occurredAt: number) => new Date(occurredAt).toISOString();

export const ride = event({
  type: 'bikes.ride',
  version: 1,
  description: 'A rider brought a bike back: one ride, from one dock to another.',
  data: z.object({
    rider: z.guid().toLowerCase(),
    plan: z.enum(PLANS),
    bike: z
      .string()
      .regex(/^B\d{1,6}$/)
      .max(8),
    startStation: StationId,
    startDock: DockNumber,
    endStation: StationId,
    endDock: DockNumber,
    minutes: z.int().min(0).max(1_000_000),
  }),
  rules: [
    notFromTheFuture,
    soon,
    range('minutes', { name: 'minutes_implausible', mode: 'blocking', max: PLAUSIBLE_MINUTES_MAX }),
    referential('startStation', { name: 'start_unknown', history: rideHistory, entity: station }),
    distribution('minutes', { edges: [5, 10, 15, 20, 30, 45, 60, 120] }),
  ],
  example: {
    rider: '7d0c4f86-54a1-4f0b-9c53-1f4f9a3d2b10',
    plan: 'member',
    bike: 'B204',
    startStation: 101,
    startDock: 3,
    endStation: 102,
    endDock: 1,
    minutes: 14,
  },
  stores: ({ rider: id, plan, ...ridden }, { occurredAt }) => {
    const { bike, startStation, startDock, endStation, endDock } = ridden;
    const at = moment(occurredAt);
    const moved = { bike, occurredAt: at };
    return [
      upsert(rider, { id, plan }),
      append(rideHistory, { riderId: id, ...ridden, occurredAt: at }),
      append(movementHistory, { stationId: startStation, dock: startDock, kind: 'taken', ...moved }),
      append(movementHistory, { stationId: endStation, dock: endDock, kind: 'brought_back', ...moved }),
      increment(station, startStation, { ridesBegun: 1 }),
      increment(station, endStation, { ridesEnded: 1 }),
    ];
  },
});

export const stationReport = event({
  type: 'bikes.station-report',
  version: 1,
  description: 'A station says how many bikes it has, and how many docks are free.',
  data: z.object({
    station: StationId,
    bikes: z.int().min(0).max(CAPACITY_MAX),
    docksFree: z.int().min(0).max(CAPACITY_MAX),
  }),
  rules: [
    notFromTheFuture,
    soon,
    referential('stationId', { name: 'station_unknown', history: reportHistory, entity: station }),
  ],
  example: { station: 101, bikes: 7, docksFree: 11 },
  stores: ({ station: stationId, bikes, docksFree }, { occurredAt }) => [
    append(reportHistory, { stationId, bikes, docksFree, occurredAt: moment(occurredAt) }),
    set(station, stationId, { bikesAvailable: bikes, docksFree }),
  ],
});

export const dockFault = event({
  type: 'bikes.dock-fault',
  version: 1,
  description: 'A rider reported a dock that does not work.',
  data: z.object({
    station: StationId,
    dock: DockNumber,
    fault: z.enum(['does_not_release', 'does_not_lock', 'damaged']),
  }),
  rules: [notFromTheFuture],
  example: { station: 101, dock: 3, fault: 'does_not_lock' },
  stores: ({ station: stationId, dock: number, fault }, { occurredAt }) => [
    upsert(dock, { stationId, number, state: 'out_of_service' }),
    append(faultHistory, { stationId, dock: number, fault, occurredAt: moment(occurredAt) }),
  ],
});
