import { versionStates } from '../features/version-states.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { lowestQuality } from '../operations/quality/lowest.ts';
import { withEarlierVersions } from '../pipeline/contracts/versions.ts';
import { totalLag } from '../pipeline/kafka/report.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { log } from '../platform/logger.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { readWaiting } from '../storage/postgres/diagnosis.ts';
import { readVersions } from '../storage/postgres/feature-versions.ts';
import { readNewestEvents, readNewestTypes } from '../storage/postgres/history.ts';
import { rangeOfTypes } from '../storage/postgres/training-history.ts';
import { diagnosisPorts } from './diagnosis.ts';
import type { BoundIsolate } from './isolate.ts';
import { kafkaReport } from './kafka.ts';
import { alerts, cacheStats, qualityWindow } from './objects.ts';

/** How many of the newest events are judged by their contracts: a statement of some milliseconds. */
const NEWEST_EVENTS = 200;

/** Among how many of the newest events types are looked for: no index has the types, and this takes some milliseconds. */
const TYPES_OF_EVENTS = 10_000;

/** What the gates of the phases are measured by. */
export function gatePorts(bound: BoundIsolate): GatewayPorts['gates'] {
  const { db, env, isolate } = bound;
  const { catalog } = isolate;
  return {
    now: systemNow,
    withTimeout: systemTime.withTimeout,
    failed: (source, error) =>
      log(
        'warn',
        'The evidence of a gate could not be read.',
        { 'event.action': 'gates', 'event.reason': source },
        error,
      ),
    sources: {
      checks: () => diagnosisPorts(bound).diagnose(),
      waiting: async () => {
        const { pending, deadLetters } = await guarded(() => readWaiting(db));
        return { waitingChanges: pending, deadLetters };
      },
      kafkaLag: async () => totalLag(await kafkaReport(env)),
      quality: async () => {
        const counts = await qualityWindow(env).counts();
        const stored = Object.entries(counts.totals).filter(([, { events, refused }]) => events > refused);
        return {
          lowest: lowestQuality(counts, catalog.eventTypes),
          scored: stored.map(([type]) => type),
        };
      },
      history: () => guarded(() => rangeOfTypes(db, learnedTypes(bound), systemNow())),
      newest: () => guarded(() => readNewestEvents(db, NEWEST_EVENTS)),
      stored: () => guarded(() => readNewestTypes(db, TYPES_OF_EVENTS)),
      counters: () => cacheStats(env).report(),
      objectives: async () => (await alerts(env).report()).objectives,
      features: async () => versionStates(catalog.features, await guarded(() => readVersions(db)), undefined),
    },
  };
}

/** The events that models learn from; all of them where no model does. */
function learnedTypes({ isolate: { catalog } }: BoundIsolate): string[] {
  const labels = catalog.models.flatMap(({ dataset }) =>
    dataset === undefined ? [] : [dataset.label.eventType],
  );
  const types = labels.length > 0 ? labels : catalog.events.map(({ type }) => type);
  return withEarlierVersions(catalog.eventTypes, [...new Set(types)]);
}
