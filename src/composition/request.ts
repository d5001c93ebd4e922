import { addDigests } from '../features/digest.ts';
import { askEveryShard } from '../features/layout.ts';
import { replayStep } from '../features/replay.ts';
import { readRows } from '../features/row-cache.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import type { ChampionPorts } from '../gateway/champion.ts';
import { newTicket } from '../gateway/principals/ticket.ts';
import { reportTraining } from '../operations/lineage/training.ts';
import { eventsMessage } from '../pipeline/ingest.ts';
import { type LineageFacts, REQUEST_PAUSE_MS } from '../pipeline/lineage/recorder.ts';
import { release } from '../pipeline/release.ts';
import { writtenRows } from '../pipeline/written-rows.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import { calling } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import type { Span } from '../platform/tracing/span.ts';
import type { Lane } from '../storage/lane.ts';
import { listKeys } from '../storage/postgres/api-keys.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { missingKeys } from '../storage/postgres/entity-writes.ts';
import { type RowTagsOf, readEventStatus } from '../storage/postgres/event-status.ts';
import { endTraining, startTraining } from '../storage/postgres/lineage-runs.ts';
import {
  closeReleased,
  discardQuarantined,
  listQuarantine,
  readQuarantined,
  statesOfQuarantined,
} from '../storage/postgres/quarantine.ts';
import { readReplay, startReplay } from '../storage/postgres/replays.ts';
import { adminPorts, askShards } from './admin.ts';
import { alertRoutePorts } from './alerts.ts';
import { loadAsOfIn, tokenAt, watchShardsIn } from './as-of.ts';
import { auditPorts } from './audit.ts';
import { queuedItems } from './backlog.ts';
import { championIn, rolloutIn } from './champion.ts';
import { beginEpoch, invalidateTags } from './clock.ts';
import { datasetRoutePorts } from './datasets.ts';
import { deadLetterPorts } from './dead-letters.ts';
import { diagnosisPorts } from './diagnosis.ts';
import { driftRoutePorts, driftServing } from './drift.ts';
import { erasureRoutePorts } from './erasing.ts';
import { featureStatePorts } from './feature-states.ts';
import { feedPorts } from './feed.ts';
import { feedbackRoutePorts, noteServed } from './feedback.ts';
import { gatePorts } from './gates.ts';
import { healthPorts } from './health.ts';
import { idempotencyPort } from './idempotency.ts';
import { inspectionPorts } from './inspection.ts';
import type { BoundIsolate } from './isolate.ts';
import { kafkaReport, seekKafka, startKafkaSources } from './kafka.ts';
import { keyPorts } from './keys.ts';
import { lifecyclePorts } from './lifecycle-report.ts';
import { lineagePorts, noteLineage, sweepRuns } from './lineage.ts';
import { modelRegistryPorts } from './models.ts';
import { cacheStats, changeFeed, featureShard, qualityWindow } from './objects.ts';
import { phasePorts } from './phases.ts';
import { wasQueued } from './queueing.ts';
import { replayStepPorts } from './replaying.ts';
import type { RequestScope } from './request-scope.ts';
import { rolloutRoutePorts, rolloutServing } from './rollouts.ts';
import { storeAndRelay, storeAtOnce, type WaitingScope } from './storing.ts';
import { takeEvents } from './taking.ts';
import { trainingRoutePorts } from './training.ts';
import { writePorts } from './writing.ts';

/** The ports of one request. A route that asks for its part creates only that part. */
export class RequestPorts implements GatewayPorts {
  readonly #bound: BoundIsolate;
  readonly #scope: RequestScope;

  constructor(bound: BoundIsolate, scope: RequestScope) {
    this.#bound = bound;
    this.#scope = scope;
  }

  get access(): GatewayPorts['access'] {
    return this.#bound;
  }

  get audit(): GatewayPorts['audit'] {
    return auditPorts(this.#bound);
  }

  get alerts(): GatewayPorts['alerts'] {
    return alertRoutePorts(this.#bound);
  }

  get admin(): GatewayPorts['admin'] {
    return adminPorts(this.#bound);
  }

  get featureStates(): GatewayPorts['featureStates'] {
    return featureStatePorts(this.#bound);
  }

  get cache(): GatewayPorts['cache'] {
    const { env } = this.#bound;
    return {
      invalidate: this.#invalidate,
      beginEpoch: () => beginEpoch(env),
      ...inspectionPorts(this.#bound, this.#scope),
    };
  }

  get datasets(): GatewayPorts['datasets'] {
    return datasetRoutePorts(this.#bound, this.#qualityCounts);
  }

  get deadLetters(): GatewayPorts['deadLetters'] {
    return deadLetterPorts(this.#bound);
  }

  get deprecations(): GatewayPorts['deprecations'] {
    return {
      noteDeprecated: (version, principal) => this.#bound.noteDeprecated(version, principal),
    };
  }

  get diagnosis(): GatewayPorts['diagnosis'] {
    return diagnosisPorts(this.#bound);
  }

  get erasures(): GatewayPorts['erasures'] {
    return erasureRoutePorts(this.#bound, (work) => this.#scope.keepAlive(work), this.replays);
  }

  get events(): GatewayPorts['events'] {
    const { env, db, isolate } = this.#bound;
    const types = isolate.catalog.eventTypes;
    return {
      take: takeEvents(this.#bound, this.#scope, this.#noteLineage),
      status: async (source, id) => {
        const rowTagsOf: RowTagsOf = (stored) => writtenRows(types, stored, systemNow());
        const read = () => guarded(() => readEventStatus(db, source, id, rowTagsOf));
        const known = await read();
        if (known !== undefined || !(await wasQueued(env, source, id))) return known;
        // The event may have been stored between the two reads.
        return (await read()) ?? { status: 'queued' };
      },
    };
  }

  get features(): GatewayPorts['features'] {
    return {
      read: (asked, consistency) => readRows(asked, consistency, this.#bound.rowPorts(this.#scope)),
    };
  }

  get feed(): GatewayPorts['feed'] {
    return feedPorts(this.#bound.env, (work) => this.#scope.keepAlive(work));
  }

  get feedback(): GatewayPorts['feedback'] {
    return feedbackRoutePorts(this.#bound, (work) => this.#scope.keepAlive(work));
  }

  get gates(): GatewayPorts['gates'] {
    return gatePorts(this.#bound);
  }

  get health(): GatewayPorts['health'] {
    return healthPorts(this.#bound);
  }

  get queues(): GatewayPorts['queues'] {
    return { queued: () => queuedItems(this.#bound.env) };
  }

  get kafka(): GatewayPorts['kafka'] {
    const { env } = this.#bound;
    return {
      partitions: () => kafkaReport(env),
      start: () => startKafkaSources(env),
      seek: (at, to) => seekKafka(env, at, to),
    };
  }

  get idempotency(): GatewayPorts['idempotency'] {
    return idempotencyPort(this.#bound.env);
  }

  get impact(): GatewayPorts['impact'] {
    const { db } = this.#bound;
    return {
      now: systemNow,
      withTimeout: systemTime.withTimeout,
      counters: this.metrics.counters,
      keys: (page) => guarded(() => listKeys(db, page)),
    };
  }

  get keys(): GatewayPorts['keys'] {
    return keyPorts(this.#bound, (work) => this.#scope.keepAlive(work));
  }

  get limits(): GatewayPorts['limits'] {
    return this.#bound.charging;
  }

  get lifecycle(): GatewayPorts['lifecycle'] {
    return lifecyclePorts(this.#bound);
  }

  get lineage(): GatewayPorts['lineage'] {
    return lineagePorts(this.#bound);
  }

  get models(): GatewayPorts['models'] {
    return modelRegistryPorts(this.#bound, (work) => this.#scope.keepAlive(work));
  }

  get metrics(): GatewayPorts['metrics'] {
    const { config, env } = this.#bound;
    const counted = <T>(ask: () => Promise<T>) =>
      calling(ask, 'statistics_unavailable', 'The counters do not answer.', 5);
    return {
      isPublic: config.isMetricsPublic,
      counters: () => counted(() => cacheStats(env).report()),
      series: (question) => counted(() => cacheStats(env).series(question)),
      quality: this.#qualityCounts,
      feed: () => changeFeed(env).status(),
      kafka: () => kafkaReport(env),
    };
  }

  get inventory(): GatewayPorts['inventory'] {
    return { counters: this.metrics.counters };
  }

  get modelPaths(): GatewayPorts['modelPaths'] {
    return { ...this.#champion, predicted: this.#noteLineage };
  }

  get phases(): GatewayPorts['phases'] {
    return phasePorts(this.#bound, this.#scope);
  }

  get predictions(): GatewayPorts['predictions'] {
    const { db } = this.#bound;
    return {
      ...this.#champion,
      tokenAt: (asOf) => tokenAt(this.#bound, asOf),
      missingKeys: (entity, keys) => guarded(() => missingKeys(db, entity, keys)),
      predicted: this.#noteLineage,
    };
  }

  get quality(): GatewayPorts['quality'] {
    return { counts: this.#qualityCounts };
  }

  get quarantine(): GatewayPorts['quarantine'] {
    const { db, isolate } = this.#bound;
    return {
      list: (filter) => guarded(() => listQuarantine(db, filter)),
      find: async (id) => (await guarded(() => readQuarantined(db, [id])))[0],
      release: async (ids, corrected) => {
        const waiting = this.#waiting('live');
        const { outcome: results, token } = await storeAndRelay(this.#bound, waiting, () =>
          release(ids, corrected, systemNow(), {
            types: isolate.catalog.eventTypes,
            read: (numbers) => readQuarantined(db, numbers),
            take: (items, receivedAt) =>
              storeAtOnce(this.#bound, [eventsMessage(items, receivedAt)], waiting),
            resolve: (closed) => closeReleased(db, closed),
          }),
        );
        return { results, token };
      },
      states: (ids) => guarded(() => statesOfQuarantined(db, ids)),
      discard: (ids, entry) => guarded(() => discardQuarantined(db, ids, entry)),
    };
  }

  get replays(): GatewayPorts['replays'] {
    const { db, env, isolate } = this.#bound;
    const find = (id: string) => guarded(() => readReplay(db, id));
    return {
      find,
      start: async (id, superseded) => {
        await guarded(() => startReplay(db, id, newId(), superseded));
        const started = await find(id);
        if (started === undefined)
          throw new Error(`The replay ${id} was started, but the database does not have it.`);
        return started;
      },
      step: (replay, plan) =>
        replayStep(
          replay,
          plan,
          replayStepPorts(this.#bound, () => this.#bound.newestToken(this.#scope)),
        ),
      digest: async () => {
        const entities = [...new Set(isolate.catalog.features.map(({ entity }) => entity.name))];
        const digests = entities.map((entity) =>
          askShards(() => askEveryShard(entity, (shard) => featureShard(env, shard).digest())),
        );
        return addDigests((await Promise.all(digests)).flat());
      },
    };
  }

  get drift(): GatewayPorts['drift'] {
    return driftRoutePorts(this.#bound);
  }

  get rollouts(): GatewayPorts['rollouts'] {
    return rolloutRoutePorts(this.#bound, (work) => this.#scope.keepAlive(work));
  }

  get tickets(): GatewayPorts['tickets'] {
    return { issue: (path, holder) => newTicket(this.#bound.ticketKey, path, holder, systemNow()) };
  }

  get training(): GatewayPorts['training'] {
    return trainingRoutePorts(this.#bound);
  }

  get trainings(): GatewayPorts['trainings'] {
    const { db } = this.#bound;
    return {
      report: (id, model, report) =>
        guarded(() =>
          reportTraining(id, model, report, {
            start: (start) => startTraining(db, start),
            end: (end) => endTraining(db, end),
            now: systemNow,
          }),
        ),
      sweep: () => guarded(() => sweepRuns(db)),
    };
  }

  get writes(): GatewayPorts['writes'] {
    return writePorts(this.#bound, this.#scope, this.#noteLineage);
  }

  readonly #invalidate = (tags: readonly string[]) => invalidateTags(this.#bound.env, tags);

  readonly #noteLineage = (facts: LineageFacts) =>
    noteLineage(this.#bound, (work) => this.#scope.keepAlive(work), facts, REQUEST_PAUSE_MS);

  readonly #qualityCounts = () =>
    calling(
      () => qualityWindow(this.#bound.env).counts(),
      'statistics_unavailable',
      'The object that counts quality checks does not answer. Try again shortly.',
      5,
    );

  get #champion(): ChampionPorts {
    return this.#championIn(this.#bound);
  }

  #championIn(bound: BoundIsolate): ChampionPorts {
    const { config, isolate, registry } = bound;
    return {
      within: (span: Span) => this.#championIn(bound.in(span)),
      deadlineMs: config.deadlineMs,
      read: (request) => bound.readIn(this.#scope, request),
      standIn: (request) => bound.standInIn(this.#scope, request),
      phases: () => bound.phases(this.#scope),
      phasesKnown: () => isolate.phases,
      registry,
      loadChampion: (load) =>
        loadAsOfIn(bound, (db) => load({ ...registry, champion: championIn(db), rollout: rolloutIn(db) })),
      watch: () => watchShardsIn(bound, this.#scope),
      readRows: (asked, consistency) => readRows(asked, consistency, bound.rowPorts(this.#scope)),
      models: isolate.models,
      keepAlive: (work) => this.#scope.keepAlive(work),
      rollouts: rolloutServing(bound, (work) => this.#scope.keepAlive(work)),
      served: (answer) => noteServed(bound, (work) => this.#scope.keepAlive(work), answer),
      watched: driftServing(bound, (work) => this.#scope.keepAlive(work)),
    };
  }

  #waiting(lane: Lane): WaitingScope {
    return { scope: this.#scope, noteLineage: this.#noteLineage, lane };
  }
}
