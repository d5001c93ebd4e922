import type { Catalog } from '../define/catalog.ts';
import { contributionsOf, type FoldableEvent } from '../features/fold.ts';
import { featureTag } from '../features/groups.ts';
import { PAGE_EVENTS_MAX } from '../features/replay.ts';
import { askShards } from '../features/shards.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { Found, NOTHING_FOUND } from '../operations/erasure/found.ts';
import { learnedFrom } from '../operations/erasure/learned.ts';
import { linesWithout } from '../operations/erasure/served-lines.ts';
import { type ErasurePorts, erasureStep } from '../operations/erasure/step.ts';
import { namedBy, type Subject } from '../operations/erasure/subject.ts';
import { typesLearned } from '../operations/lineage/trained.ts';
import { asCurrent } from '../pipeline/contracts/versions.ts';
import { systemNow } from '../platform/clock.ts';
import { calling, Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { guarded } from '../storage/postgres/connect.ts';
import {
  countOwned,
  countOwnRow,
  removeOwned,
  removeRemovals,
  sweepOutbox,
  sweepPredictions,
  sweepQuarantine,
} from '../storage/postgres/erasure-places.ts';
import {
  advanceErasure,
  countRows,
  type Erasure,
  eraseEvents,
  erasureId,
  readErasure,
  readEvents,
  readTail,
  startErasure,
} from '../storage/postgres/erasures.ts';
import { readMoves } from '../storage/postgres/feature-layouts.ts';
import { newestRuns } from '../storage/postgres/lineage-read.ts';
import { r2ServedLog, servedBefore } from '../storage/served-files.ts';
import { invalidateTags } from './clock.ts';
import type { BoundIsolate } from './isolate.ts';
import { datasets, featureShard, feedback } from './objects.ts';
import { armRelay } from './storing.ts';
import { sweepInSteps } from './sweeping.ts';
import { eraseRow } from './writing.ts';

/** The id of the rebuild among the replays; there is only one. */
const REBUILD = 'rebuild';
/** Trainings that are looked at, the newest ones. */
const TRAININGS_MAX = 1_000;
const AGAIN_S = 5;
/** Files of the log of served predictions that one step reads at once. */
const SERVED_FILES_MAX = 20;

type KeepAlive = (work: Promise<unknown>) => void;

/** The ports of the route that searches for, and erases, the data of an entity. */
export function erasureRoutePorts(
  bound: BoundIsolate,
  keepAlive: KeepAlive,
  replays: GatewayPorts['replays'],
): GatewayPorts['erasures'] {
  const { db } = bound;
  const find: GatewayPorts['erasures']['find'] = (id, mode) => guarded(() => readErasure(db, id, mode));
  return {
    identify: ({ entity, key }) => guarded(() => erasureId(db, entity.name, key)),
    find,
    start: async (id, mode, superseded) => {
      // Also of an erasure that begins again, because the command was killed after it: its events are found no more.
      const erased = mode === 'list' ? undefined : await find(id, 'erase');
      const found = { ...NOTHING_FOUND, ...searchedAgain(erased) };
      await guarded(() => startErasure(db, { id, mode, run: newId(), found }, superseded));
      const started = await find(id, mode);
      if (started === undefined)
        throw new Error('An erasure was started, but the database does not have it.');
      return started;
    },
    step: (erasure, subject) => erasureStep(erasure, stepPorts(bound, keepAlive, replays, erasure, subject)),
  };
}

/** What a later look has to know of an erasure: which datasets and versions may have had its events. */
function searchedAgain(erased: Erasure | undefined): Partial<Found> {
  if (erased === undefined) return {};
  const { types, firstSeq, lastSeq, firstRecordedAt, eventsEndedMs } = Found.parse(erased.found);
  return { types, firstSeq, lastSeq, firstRecordedAt, eventsEndedMs };
}

function stepPorts(
  bound: BoundIsolate,
  keepAlive: KeepAlive,
  replays: GatewayPorts['replays'],
  erasure: Erasure,
  subject: Subject,
): ErasurePorts {
  const { db, env, isolate } = bound;
  const { catalog } = isolate;
  const { histories } = catalog;
  const armed = async <T>(write: () => Promise<T>): Promise<T> => {
    await armRelay(env);
    return await guarded(write);
  };
  const typesOf = (model: string) => typesLearned(catalog, model);
  const trainings = catalog.models.map(({ name }) => ({ job: 'train', subject: name }) as const);
  return {
    now: systemNow,
    events: (page) => guarded(() => readEvents(db, page)),
    tail: (since) => guarded(() => readTail(db, since)),
    namedBy: (event) => namedBy(subject, event, catalog, systemNow()),
    rowsOf: (seqs) => guarded(() => countRows(db, histories, seqs)),
    forgetInShards: (events) => forgetInShards(bound, events),
    eraseEvents: (named, to) => armed(() => eraseEvents(db, histories, named, { erasure, to })),
    countOwned: () => guarded(() => countOwned(db, histories, subject)),
    removeOwned: () => armed(() => removeOwned(db, histories, subject)),
    countOwnRow: () => guarded(() => countOwnRow(db, subject)),
    removeOwnRow: async ({ entityRow }) => {
      if (entityRow > 0) await eraseRow(bound, keepAlive, subject.entity, subject.values);
      await guarded(() => removeRemovals(db, subject));
    },
    quarantine: (pages) => guarded(() => sweepQuarantine(db, subject, pages)),
    predictions: (pages) => guarded(() => sweepPredictions(db, subject, pages)),
    served: (files) => sweepServed(bound, subject, files),
    cells: (isRemoving) => cellsOf(bound, subject, isRemoving),
    rebuild: (run) => rebuildStep(run, catalog, replays),
    datasets: async () => {
      const made = await asking(() => datasets(env).list());
      return made.map(({ id, spec: { model, asOf }, begunMs }) => ({ id, model, asOfMs: asOf, begunMs }));
    },
    typesOf,
    removeDataset: async (id) => void (await asking(() => datasets(env).remove(id))),
    learned: async (found) =>
      learnedFrom(await guarded(() => newestRuns(db, trainings, TRAININGS_MAX)), found, typesOf),
    relay: async () => void (await sweepInSteps(env)),
    outbox: (page) => guarded(() => sweepOutbox(db, subject, page)),
    advance: (to) => guarded(() => advanceErasure(db, erasure, to)),
  };
}

async function asking<T>(ask: () => Promise<T>): Promise<T> {
  return await calling(
    ask,
    'datasets_unavailable',
    'The object that makes datasets does not answer.',
    AGAIN_S,
  );
}

/** Tells each shard whose keys count these events that it has to fold them no more. */
async function forgetInShards(
  { db, env, isolate: { catalog, moves } }: BoundIsolate,
  events: readonly FoldableEvent[],
): Promise<void> {
  const open = (await guarded(() => readMoves(db))).find(({ replay }) => replay.state !== 'done');
  if (open !== undefined)
    throw new Failure(
      'features_unavailable',
      `The entity "${open.entity}" is getting more shards. Wait for that, or cancel it, then repeat the request.`,
      { retryAfterS: AGAIN_S },
    );
  const counted = events.flatMap((stored) => {
    const event = asCurrent(catalog.eventTypes, stored);
    return contributionsOf(catalog.features, event).map(({ definition, contribution }) => ({
      ...{ entity: definition.entity.name, key: contribution.key, seq: event.seq },
    }));
  });
  for (const [entity, own] of Map.groupBy(counted, (one) => one.entity)) {
    const byKey = Map.groupBy(own, ({ key }) => key);
    await askShards(entity, [...byKey.keys()], moves, (shard, keys) => {
      const seqs = keys.flatMap((key) => (byKey.get(key) ?? []).map(({ seq }) => seq));
      return featureShard(env, shard).forgetEvents([...new Set(seqs)]);
    });
  }
}

/**
 * Counts the lines of the subject in the next files of the log of served predictions, or removes them. After the last file,
 * also the trials that were made of them: an earlier step of the join cannot bring them back then.
 */
async function sweepServed(
  { env, isolate: { catalog } }: BoundIsolate,
  subject: Subject,
  { after, isRemoving }: { readonly after: string; readonly isRemoving: boolean },
): ReturnType<ErasurePorts['served']> {
  const { list, read, rewrite } = r2ServedLog(env.MODELS);
  const detail = 'The log of served predictions does not answer. Repeat the same request to continue.';
  const reaching = <T>(ask: () => Promise<T>) => calling(ask, 'model_unavailable', detail, AGAIN_S);
  const { keys, hasMore } = await reaching(() =>
    list(after === '' ? servedBefore(0) : after, SERVED_FILES_MAX),
  );
  const counts = keys.map(async (file) => {
    const text = (await reaching(() => read(file))) ?? '';
    const { left, removed } = linesWithout(text, subject);
    if (isRemoving && removed > 0) await reaching(() => rewrite(file, left));
    return removed;
  });
  const lines = (await Promise.all(counts)).reduce((sum, n) => sum + n, 0);
  const last = keys.at(-1);
  if (hasMore && last !== undefined) return { found: lines, next: last };
  const models = catalog.models.filter(({ entity }) => entity.name === subject.entity.name);
  const names = models.flatMap(({ name, feedback: of }) => (of === undefined ? [] : [name]));
  if (names.length === 0) return { found: lines, next: null };
  const joined = 'The object that joins answers with events does not answer. Repeat the request.';
  const asked = <T>(ask: () => Promise<T>) => calling(ask, 'statistics_unavailable', joined, AGAIN_S);
  const trials = await asked(() => feedback(env).trialsOf(names, subject.key));
  if (isRemoving) await asked(() => feedback(env).forget(names, subject.key));
  return { found: lines + trials, next: null };
}

/** Counts the rows of cells of the subject, or removes a part of them. */
async function cellsOf(
  { env, isolate: { catalog, moves } }: BoundIsolate,
  { entity: { name }, key }: Subject,
  isRemoving: boolean,
): Promise<{ readonly rows: number; readonly isMore: boolean }> {
  if (!catalog.features.some(({ entity }) => entity.name === name)) return { rows: 0, isMore: false };
  const asked = await askShards(name, [key], moves, async (shard) => {
    if (isRemoving) return await featureShard(env, shard).forgetKey(name, key);
    return { rows: await featureShard(env, shard).rowsOfKey(name, key), isMore: false };
  });
  if (isRemoving) await invalidateTags(env, [featureTag(name, key)]);
  const [{ answer } = { answer: { rows: 0, isMore: false } }] = asked;
  return answer;
}

/** Takes the next step of the rebuild `run`; begins one if that is null, or if another rebuild has taken its place. */
async function rebuildStep(
  run: string | null,
  { features }: Pick<Catalog, 'features'>,
  replays: GatewayPorts['replays'],
): Promise<{ readonly run: string; readonly isOver: boolean }> {
  const range = { types: [...new Set(features.map(({ eventType }) => eventType))] };
  const plan = { isRebuild: true, range, limit: PAGE_EVENTS_MAX };
  const known = await replays.find(REBUILD);
  const own = run !== null && known?.run === run ? known : await replays.start(REBUILD, known?.run);
  try {
    await replays.step(own, plan);
  } catch (error) {
    // The features of the release have changed: the next step begins again.
    if (error instanceof Failure && error.code === 'replay_superseded') return { run: '', isOver: false };
    throw error;
  }
  const after = await replays.find(REBUILD);
  return { run: own.run, isOver: after?.run === own.run && after.state === 'done' };
}
