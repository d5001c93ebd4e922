/** The rides that a training reads, as the events of which the worker makes rows. */
import { historyOfEvents } from '../../../scripts/models/local-run/history.ts';
import { type LocallyTrained, trainLocally } from '../../../scripts/models/local-run/run.ts';
import type { RecordedEvent } from '../../../src/features/point-in-time.ts';
import { ride } from '../catalog/events.ts';
import { rideMinutes } from '../catalog/models.ts';

export interface Ride {
  readonly rider: string;
  readonly minutes: number;
  /** When it ended, milliseconds since the Unix epoch. */
  readonly at: number;
}

/**
 * As events that were known when they happened: those of a seed or an import were stored long after. Equal rides in another
 * order give equal events, with equal numbers.
 */
export function eventsOf(rides: readonly Ride[]): RecordedEvent[] {
  const sorted = rides.toSorted(
    (a, b) => a.at - b.at || (a.rider < b.rider ? -1 : a.rider > b.rider ? 1 : a.minutes - b.minutes),
  );
  return sorted.map(({ rider, minutes, at }, index) => ({
    ...{ seq: index + 1, type: ride.type, occurredAt: at, recordedAt: at },
    // No row depends on the others; the contract asks for them.
    data: {
      ...{ rider, minutes, plan: 'member', bike: 'B1' },
      ...{ startStation: 1, startDock: 1, endStation: 1, endDock: 1 },
    },
  }));
}

/**
 * Trains as a run of the worker does: the rows are those of the declared dataset, with the features as of each ride.
 *
 * @throws Error with the reason if the rides do not allow a model. Whether it is better than the mean is in its evaluation.
 */
export async function trainFromRides(
  rides: readonly Ride[],
  { seed }: { readonly seed: number },
): Promise<LocallyTrained> {
  const events = eventsOf(rides);
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined) throw new Error('There are no rides to train on.');
  return await trainLocally({
    ...{ definition: rideMinutes, history: historyOfEvents(events), seed },
    ...{ from: first.occurredAt, to: last.occurredAt + 1 },
  });
}
