import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { COUNTED_ROWS } from '../../bench/cost/counted.ts';
import { MIGRATIONS as ALERTS_MIGRATIONS } from '../../durable-objects/alerts/migrations.ts';
import { ActionRecords } from '../../durable-objects/alerts/records.ts';
import { Spending } from '../../durable-objects/alerts/spending.ts';
import { WatchStore } from '../../durable-objects/alerts/store.ts';
import { CounterStore } from '../../durable-objects/cache-stats/store.ts';
import { FeedStore } from '../../durable-objects/change-feed/store.ts';
import { DriftWatchStore } from '../../durable-objects/drift-watches/store.ts';
import { KeyStore } from '../../durable-objects/idempotency/store.ts';
import { QualityStore } from '../../durable-objects/quality-window/store.ts';
import { KEPT_MS, QueuedStore } from '../../durable-objects/queued-events/store.ts';
import { Buckets } from '../../durable-objects/rate-limiter/buckets.ts';
import { QuotaStore } from '../../durable-objects/rate-limiter/store.ts';
import { RolloutStore, type Watched } from '../../durable-objects/rollouts/store.ts';
import { migrate } from '../../durable-objects/sqlite-migrations.ts';
import { ClockStore } from '../../durable-objects/tag-clock/store.ts';
import { TrainingRunsStore } from '../../durable-objects/training-runs/store.ts';
import { Horizon } from '../../src/cache/clock/horizon.ts';
import { rolloutOf } from '../../src/define/rollout.ts';
import { RolloutWatch } from '../../src/inference/rollout/watch.ts';
import { WIDTHS } from '../../src/operations/alerts/history.ts';
import { KEPT_VALUES, VALUE_MINUTES } from '../../src/operations/alerts/regressions.ts';
import { NOTHING_WATCHED } from '../../src/operations/alerts/watch.ts';
import { REQUESTS } from '../../src/operations/requests.ts';
import { EMPTY_TALLY, type ScoreBatch } from '../../src/pipeline/quality/tally.ts';
import type { DriftWatchState } from '../../src/training/drift/watch.ts';
import { ended, newRun, withCost } from '../../src/training/runs/run.ts';
import { CountedStorage } from '../support/worker/counted-storage.ts';

type Figures = Record<string, readonly [read: number, written: number]>;

/** Counts the rows of each step of an object, in the order in which the steps are given. */
function countedIn(storage: DurableObjectStorage) {
  const counted = new CountedStorage(storage);
  const figures: Figures = {};
  return {
    storage: counted.storage,
    figures,
    step<Result>(name: string, work: () => Result): Result {
      const { result, read, written } = counted.counted(work);
      figures[name] = [read, written];
      return result;
    },
  };
}

const scores = (types: number, minute: number): ScoreBatch => ({
  id: crypto.randomUUID(),
  atMs: minute * 60_000,
  types: Object.fromEntries(Array.from({ length: types }, (_, index) => [`type-${index}`, EMPTY_TALLY])),
});

// The table in docs/operations.md has these figures: change both together.

it('reads and writes these rows in Alerts', async () => {
  await runInDurableObject(env.ALERTS.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    migrate(storage, ALERTS_MIGRATIONS);
    const store = new WatchStore(storage);
    const history = store.history();
    const counts = new Map(Array.from({ length: 40 }, (_, at) => [`peer:${at}`, { bad: 1, all: 2 }]));
    const evaluate = (minute: number) => {
      history.add(counts, minute);
      store.save({ ...NOTHING_WATCHED, minute }, history, counts);
    };
    // As many buckets of each width as are kept.
    const minutes = WIDTHS.flatMap(({ minutes: width, kept }) =>
      Array.from({ length: kept }, (_, at) => 45_000 - at * width),
    );
    for (const minute of [...new Set(minutes)].sort((a, b) => a - b)) evaluate(minute);
    step('an evaluation in which a bucket of each width begins', () => evaluate(45_001));
    step('an evaluation', () => evaluate(45_002));
    const spending = new Spending(storage);
    const requests = (value: number) => [
      { name: REQUESTS, labels: { method: 'GET', route: '/v1/rides', status: '200' }, value },
    ];
    for (let quarter = 0; quarter <= KEPT_VALUES + 1; quarter += 1)
      spending.note(requests(100 * quarter), quarter * VALUE_MINUTES);
    const told = { a: 1 };
    store.saveToldWarnings({}, told);
    const after = (KEPT_VALUES + 2) * VALUE_MINUTES;
    step('a quarter of an hour ends, after an eviction', () => {
      const fresh = new Spending(storage);
      fresh.note(requests(100 * after), after);
      fresh.regressions(1);
      store.saveToldWarnings(store.toldWarnings(), { a: 2 });
    });
    step('a quarter of an hour in which no warning changes', () => {
      spending.note(requests(100 * after + 1), after + VALUE_MINUTES);
      store.saveToldWarnings(store.toldWarnings(), { a: 2 });
    });
    const records = new ActionRecords(storage);
    const silence = {
      ...{ id: 's', kind: 'silence' as const, matchers: [], author: 'a', comment: 'c' },
      ...{ startsMs: 0, endsMs: 1 },
    };
    step('a silence, and its entry for the audit log', () => {
      store.putSilence(silence);
      records.add({
        at: '',
        record: 'r',
        principal: 'a',
        action: 'x',
        target: 's',
        detail: {},
        before: null,
        after: null,
      });
    });
    expect(figures).toEqual({
      'an evaluation': [4, 5],
      'an evaluation in which a bucket of each width begins': [6, 7],
      'a quarter of an hour ends, after an eviction': [776, 4],
      'a quarter of an hour in which no warning changes': [3, 2],
      'a silence, and its entry for the audit log': [3, 4],
    });
  });
});

it('reads and writes these rows in CacheStats, whatever the number of isolates and series', async () => {
  await runInDurableObject(env.CACHE_STATS.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    let store = new CounterStore(storage);
    const counters = Array.from({ length: 100 }, (_, series) => ({
      ...{ name: 'a_total', labels: { series: String(series) }, value: 1 },
    }));
    const report = (n: number, minute: number) => {
      for (let isolate = 0; isolate < 300; isolate += 1)
        store.add({ isolate: String(isolate), n, counters }, minute);
    };
    step('first reports of 300 isolates, with 100 new series', () => report(1, 1));
    step('their save', () => store.save());
    step('reports of 300 isolates', () => report(2, 1));
    step('save', () => store.save());
    step('save of nothing', () => store.save());
    for (let minute = 2; minute <= 61; minute += 1) {
      report(minute + 1, minute);
      store.save();
    }
    report(100, 62);
    step('save of a new minute', () => store.save());
    step('reading all counts', () => [store.totals(), store.within(60, 61), store.isolates(61)]);
    store = step('start', () => new CounterStore(storage));
    expect(figures).toEqual({
      'first reports of 300 isolates, with 100 new series': [0, 0],
      'their save': [102, 103],
      'reports of 300 isolates': [0, 0],
      save: COUNTED_ROWS.statisticsSave,
      'save of nothing': [0, 0],
      'save of a new minute': [3, 4],
      'reading all counts': [0, 0],
      start: [168, 0],
    });
  });
});

it('reads and writes these rows in QualityWindow', async () => {
  await runInDurableObject(env.QUALITY_WINDOW.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const store = new QualityStore(storage);
    const minute = 30_000_000;
    step('first batch', () => store.add(scores(1, minute), minute));
    for (let past = 0; past < 1_000; past += 1) store.add(scores(2, minute - past), minute);
    step('batch of one type', () => store.add(scores(1, minute), minute));
    for (let other = 1; other < 60; other += 1) store.add(scores(1, minute), minute);
    step('adding up 60 of them', () => store.counts(minute));
    step('adding up nothing', () => store.counts(minute));
    step('batch of two types', () => store.add(scores(2, minute), minute));
    const again = scores(1, minute);
    store.add(again, minute);
    step('duplicate batch', () => store.add(again, minute));
    step('uncounted of 10', () => store.uncounted(Array.from({ length: 10 }, () => crypto.randomUUID())));
    step('counts, and adding up two transactions', () => store.counts(minute));
    step('first pruning after a start', () => store.prune(minute));
    step('pruning of nothing', () => store.prune(minute));
    expect(figures).toEqual({
      'first batch': [6, 7],
      'batch of one type': COUNTED_ROWS.qualityOfTransaction,
      'batch of two types': COUNTED_ROWS.qualityOfTransaction,
      'adding up 60 of them': [302 + COUNTED_ROWS.qualityOfMinute[0], COUNTED_ROWS.qualityOfMinute[1]],
      'adding up nothing': [302, 0],
      'duplicate batch': [0, 0],
      'uncounted of 10': [0, 0],
      'counts, and adding up two transactions': [314, 9],
      'first pruning after a start': [1071, 0],
      'pruning of nothing': [8, 0],
    });
  });
});

it('reads and writes these rows in QueuedEvents, with 10,000 remembered requests', async () => {
  await runInDurableObject(env.QUEUED_EVENTS.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    let store = new QueuedStore(storage);
    for (let request = 0; request < 10_000; request += 1) {
      store.note([request], request);
      store.save(request);
    }
    step('request of one event', () => store.note([1], 10_000));
    step('its save', () => store.save(10_000));
    store.note(
      Array.from({ length: 1_000 }, (_, index) => index),
      10_001,
    );
    step('save of 1,000 events', () => store.save(10_001));
    step('save of nothing', () => store.save(10_001));
    step('first look-up', () => store.has(1, 10_002));
    step('look-up', () => store.has(2, 10_003));
    step('pruning of nothing', () => store.prune(10_004));
    step('pruning of ten segments', () => store.prune(KEPT_MS + 5_200));
    store = step('start', () => new QueuedStore(storage));
    expect(figures).toEqual({
      'request of one event': [0, 0],
      'its save': COUNTED_ROWS.queuedSave,
      'save of 1,000 events': [2, 1],
      'save of nothing': [0, 0],
      'first look-up': [21, 0],
      'look-up': [0, 0],
      'pruning of nothing': [1, 0],
      'pruning of ten segments': [21, 10],
      start: [13, 0],
    });
  });
});

it('reads and writes these rows in TagClock, with 10,000 remembered invalidations', async () => {
  await runInDurableObject(env.TAG_CLOCK.getByName('root'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const store = new ClockStore(storage);
    store.load(() => 'unused', new Horizon(1));
    const from = 1_000_000;
    step('invalidation of one tag', () => store.save(from, [1], 0));
    step('invalidation of 1,000 tags', () =>
      store.save(
        from + 1,
        Array.from({ length: 1_000 }, (_, tag) => tag),
        0,
      ),
    );
    for (let seq = 2; seq < 10_000; seq += 1) store.save(from + seq, [seq], 0);
    step('start', () => store.load(() => 'unused', new Horizon(1)));
    step('forgetting 100', () => store.forget(from + 99));
    expect(figures).toEqual({
      'invalidation of one tag': COUNTED_ROWS.invalidation,
      'invalidation of 1,000 tags': [1, 1],
      start: [10001, 0],
      'forgetting 100': [102, 101],
    });
  });
});

it('reads and writes these rows in ChangeFeed, with 10,000 changes that came one by one', async () => {
  await runInDurableObject(env.CHANGE_FEED.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const open = () => new FeedStore(storage, () => 'e');
    let store = open();
    const change = (id: number) => ({ change: id, type: 't', entities: [`product:${id}`], token: 'e.1' });
    for (let id = 0; id < 10_000; id += 1) store.append([change(id)], id);
    store = step('start', open);
    step('first append after a start', () => store.append([change(10_000)], 10_000));
    step('append', () => store.append([change(10_001)], 10_000));
    step('page at the newest position', () => store.page(10_002));
    step('oldest page', () => store.page(0));
    expect(figures).toEqual({
      start: [5, 0],
      'first append after a start': [2, 1],
      append: COUNTED_ROWS.feedAppend,
      'page at the newest position': [0, 0],
      'oldest page': [5, 0],
    });
  });
});

it('reads and writes these rows in RateLimiter', async () => {
  await runInDurableObject(env.RATE_LIMITER.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const buckets = new Buckets();
    const store = new QuotaStore(storage);
    const question = { lane: 'read', spent: 10, need: 0, want: 0 } as const;
    const rate = { kind: 'rate', perSecond: 1_000, burst: 10_000 } as const;
    const quota = { kind: 'quota', units: 1_000, period: 'day' } as const;
    const dayMs = 86_400_000;
    step('question about a bucket', () => buckets.ask('key:a', rate, question, 0));
    step('first question about a quota', () => store.ask('key:a/day', quota, question, 0));
    step('question about a quota', () => store.ask('key:a/day', quota, question, 1));
    step('question that reports nothing', () => store.ask('key:a/day', quota, { ...question, spent: 0 }, 2));
    step('question on the next day', () => store.ask('key:a/day', quota, question, dayMs));
    expect(store.ask('key:a/day', quota, { ...question, spent: 990 }, dayMs + 1)).toEqual({
      granted: 0,
      refusedForMs: dayMs - 1,
      remaining: 0,
    });
    expect(figures).toEqual({
      'question about a bucket': [0, 0],
      'first question about a quota': [0, 1],
      'question about a quota': COUNTED_ROWS.quotaQuestion,
      'question that reports nothing': [1, 0],
      'question on the next day': [1, 1],
    });
  });
});

it('reads and writes these rows in Idempotency, with 1,000 keys', async () => {
  await runInDurableObject(env.IDEMPOTENCY.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const store = new KeyStore(storage);
    const idOf = (n: number) => String(n).padStart(64, '0');
    const answer = new ArrayBuffer(10_000);
    for (let n = 0; n < 1_000; n += 1) {
      store.begin(idOf(n), 'f', 'l', 0);
      store.keep(idOf(n), 'l', 200, answer, 0);
    }
    step('begin', () => store.begin(idOf(1_000), 'f', 'l', 1));
    step('keep', () => store.keep(idOf(1_000), 'l', 200, answer, 1));
    step('repetition', () => store.begin(idOf(1_000), 'f', 'l2', 2));
    store.begin(idOf(1_001), 'f', 'l', 1);
    step('release', () => store.release(idOf(1_001), 'l', 1));
    step('pruning of nothing', () => store.prune(3));
    step('pruning of 1,001 keys', () => store.prune(3 * 86_400_000));
    expect(figures).toEqual({
      begin: COUNTED_ROWS.idempotencyBegin,
      keep: COUNTED_ROWS.idempotencyKeep,
      repetition: [1, 0],
      release: [2, 1],
      'pruning of nothing': [4, 0],
      'pruning of 1,001 keys': [4005, 1001],
    });
  });
});

it('reads and writes these rows in TrainingRuns, with 200 runs of ten models', async () => {
  await runInDurableObject(env.TRAINING_RUNS.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const store = new TrainingRunsStore(storage);
    const runOf = (n: number) =>
      newRun({
        ...{ id: crypto.randomUUID(), model: `model-${n % 10}`, reason: 'hand', by: 'test' },
        ...{ begunMs: n, asOf: n, lastSeq: n, seed: 1 },
      });
    for (let n = 0; n < 200; n += 1) store.save(ended(runOf(n), 'done', n + 1));
    const run = runOf(200);
    step('begin', () => store.save(run));
    step('the run that is next', () => store.next());
    step('a step', () => [store.read(run.id), store.save(withCost(run, { steps: 1 }))]);
    step('the newest run of a model', () => store.list(run.model, 1));
    step('whether a run of a model is under way', () => store.active('model-3'));
    step('end', () => store.save(ended(run, 'done', 300)));
    step('no run is next', () => store.next());
    step('the run that is too many', () => store.surplus(200));
    expect(figures).toEqual({
      begin: [0, 4],
      'the run that is next': [1, 0],
      'a step': COUNTED_ROWS.trainingStep,
      'the newest run of a model': [1, 0],
      'whether a run of a model is under way': [1, 0],
      end: [0, 1],
      'no run is next': [1, 0],
      'the run that is too many': [202, 0],
    });
  });
});

it('reads and writes these rows in Rollouts and DriftWatches', async () => {
  const watched: Watched = {
    ...{ row: 1, model: 'm', rollout: 'r', version: 'v2', base: 'v1' },
    record: RolloutWatch.begin(rolloutOf({}), 'test', 0).record,
  };
  const drift: DriftWatchState = {
    ...{ threshold: 4, falseAlarmRows: 50_000, latest: null, drifts: [] },
    detector: { rows: 25, buckets: [[20, 5]] },
  };
  await runInDurableObject(env.ROLLOUTS.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const rollouts = new RolloutStore(storage);
    step('first verdict of a rollout', () => rollouts.save(watched));
    step('verdict of a rollout', () => rollouts.save(watched));
    expect(figures).toEqual({
      'first verdict of a rollout': [1, 1],
      'verdict of a rollout': COUNTED_ROWS.rolloutVerdict,
    });
  });
  await runInDurableObject(env.DRIFT_WATCHES.getByName('cost'), (_, state) => {
    const { storage, figures, step } = countedIn(state.storage);
    const drifts = new DriftWatchStore(storage);
    for (const [at, version] of ['v1', 'v2', 'v3'].entries()) drifts.save(version, drift, at, 3);
    step('rows of a watched version', () => drifts.save('v3', drift, 4, 3));
    step('first rows of another version', () => drifts.save('v4', drift, 5, 3));
    expect(drifts.list().map(({ version }) => version)).toEqual(['v4', 'v3', 'v2']);
    expect(figures).toEqual({
      'rows of a watched version': COUNTED_ROWS.driftRows,
      'first rows of another version': [17, 3],
    });
  });
});
