import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventsMessage } from '../../../queues/events/message.ts';
import { foldObserved, storeObserved } from '../../../src/pipeline/lineage/observed.ts';
import {
  type LineageFacts,
  LineageRecorder,
  PREDICTIONS_PER_WINDOW,
  REQUEST_PAUSE_MS,
  type RecorderPorts,
} from '../../../src/pipeline/lineage/recorder.ts';
import { RUN_WINDOW_MS, windowOf, windowRunId } from '../../../src/pipeline/lineage/runs.ts';
import type { StorePorts } from '../../../src/pipeline/store.ts';
import type { PredictionRecord, RunTally } from '../../../src/storage/postgres/lineage-runs.ts';
import { catalog } from '../../support/catalog/index.ts';

const AT = Date.parse('2026-01-01T10:00:20Z');
const FOLD = { job: 'fold', subject: '', version: '' } as const;

/** A database that answers when it is told to. */
class World {
  now = AT;
  readonly written: { runs: readonly RunTally[]; predictions: readonly PredictionRecord[] }[] = [];
  readonly lost: [what: string, reason: string, by: number][] = [];
  readonly alive: Promise<unknown>[] = [];
  refused = 0;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  readonly ports: RecorderPorts = {
    now: () => this.now,
    keepAlive: (promise) => this.alive.push(promise),
    pause: async () => undefined,
    write: async (runs, predictions) => {
      this.written.push({ runs, predictions });
      await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
      return runs.length - this.refused;
    },
    lost: (...what) => this.lost.push(what),
  };

  /** Answers all writes, also those that follow from it. */
  async settle(error?: Error): Promise<void> {
    let isDone = false;
    const all = Promise.all(this.alive).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      for (const { resolve, reject } of this.#waiting.splice(0))
        error === undefined ? resolve() : reject(error);
      // The ids of runs are digests, made on other threads.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await all;
  }
}

function predicted(index = 0): LineageFacts {
  const prediction: PredictionRecord = {
    id: `p-${index}`,
    at: new Date(AT).toISOString(),
    model: 'ranker',
    version: 'v',
    entity: null,
    key: null,
    features: null,
    items: 1,
    source: 'model',
    degraded: null,
  };
  return { job: 'predict', subject: 'ranker', version: 'v', counts: { predictions: 1 }, prediction };
}

describe('a run of a minute', () => {
  it('has one id in every isolate, and another in another minute, job or version', async () => {
    const key = { job: 'predict', subject: 'ranker', version: 'v' } as const;
    const { from, to } = windowOf(AT);
    expect([from, to - from]).toEqual([Date.parse('2026-01-01T10:00:00Z'), RUN_WINDOW_MS]);
    expect(await windowRunId(key, from)).toBe(await windowRunId(key, to - 1));
    const ids = await Promise.all([
      windowRunId(key, from),
      windowRunId(key, to),
      windowRunId({ ...key, version: 'w' }, from),
      windowRunId({ ...key, subject: 'other' }, from),
      windowRunId({ ...key, job: 'fold' }, from),
    ]);
    expect(new Set(ids).size).toBe(5);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('the recorder', () => {
  it('writes all facts that arrive during a write at once, and loses none', async () => {
    const world = new World();
    const recorder = new LineageRecorder();
    for (let index = 0; index < 10; index += 1) {
      recorder.record(
        { ...FOLD, counts: { events: 2 }, firstSeq: 10 - index, lastSeq: 20 + index },
        world.ports,
      );
    }
    await world.settle();
    expect(world.alive).toHaveLength(1);
    expect(world.written.length).toBeLessThanOrEqual(2);
    const runs = world.written.flatMap((write) => write.runs);
    expect(runs.reduce((sum, { counts }) => sum + (counts['events'] ?? 0), 0)).toBe(20);
    expect(Math.min(...runs.map(({ firstSeq }) => firstSeq ?? 99))).toBe(1);
    expect(Math.max(...runs.map(({ lastSeq }) => lastSeq ?? 0))).toBe(29);
    expect(world.lost).toEqual([]);
  });

  it('counts facts that cannot be written as lost, and writes the next ones', async () => {
    const world = new World();
    const recorder = new LineageRecorder();
    recorder.record(predicted(), world.ports);
    await world.settle(new Error('The database is away.'));
    expect(world.lost).toEqual([
      ['run', 'unavailable', 1],
      ['prediction', 'unavailable', 1],
    ]);
    world.refused = 1;
    recorder.record({ ...FOLD, counts: { events: 1 } }, world.ports);
    await world.settle();
    expect(world.lost.at(-1)).toEqual(['run', 'ended', 1]);
  });

  it('writes at most twelve times a minute for the requests of an isolate, one row for each run', async () => {
    const recorder = new LineageRecorder();
    let now = windowOf(AT).from;
    const endsAt = now + RUN_WINDOW_MS;
    const pauses: { readonly endsAt: number; readonly resolve: () => void }[] = [];
    const writes: number[] = [];
    let told = 0;
    const ports: RecorderPorts = {
      ...new World().ports,
      now: () => now,
      pause: () => new Promise((resolve) => pauses.push({ endsAt: now + REQUEST_PAUSE_MS, resolve })),
      write: async (runs) => {
        writes.push(runs.length);
        told += runs.reduce((sum, { counts }) => sum + (counts['events'] ?? 0), 0);
        return runs.length;
      },
    };
    for (let request = 1; now < endsAt; request += 1, now += 50) {
      recorder.record({ ...FOLD, counts: { events: 1 } }, ports);
      recorder.record(predicted(request), ports);
      // The recorder writes for one caller at a time.
      const [pause] = pauses;
      if (pause !== undefined && pause.endsAt <= now) {
        pauses.shift();
        pause.resolve();
        const before = writes.length;
        // The ids of runs are digests, made on other threads.
        while (writes.length === before) await new Promise((resolve) => setImmediate(resolve));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writes.length).toBeLessThanOrEqual(12);
    expect(writes.length).toBeGreaterThan(9);
    expect(writes.every((runs) => runs === 2)).toBe(true);
    expect(told).toBeGreaterThan(1_000);
  });

  it('continues after a writer whose request was cancelled', async () => {
    const world = new World();
    const recorder = new LineageRecorder();
    const never: RecorderPorts = { ...world.ports, write: () => new Promise(() => undefined) };
    recorder.record({ ...FOLD, counts: { events: 1 } }, never);
    await new Promise((resolve) => setImmediate(resolve));
    world.alive.length = 0;
    recorder.record({ ...FOLD, counts: { events: 2 } }, world.ports);
    expect(world.alive).toEqual([]);
    world.now += 30_000;
    recorder.record({ ...FOLD, counts: { events: 3 } }, world.ports);
    await world.settle();
    const told = world.written
      .flatMap(({ runs }) => runs)
      .reduce((sum, run) => sum + (run.counts['events'] ?? 0), 0);
    expect(told).toBe(5);
  });

  it('stores a limited number of predictions of a minute, and counts all', async () => {
    const world = new World();
    const recorder = new LineageRecorder();
    const all = PREDICTIONS_PER_WINDOW + 7;
    for (let index = 0; index < all; index += 1) recorder.record(predicted(index), world.ports);
    await world.settle();
    expect(world.written.flatMap(({ predictions }) => predictions)).toHaveLength(PREDICTIONS_PER_WINDOW);
    expect(world.lost).toEqual(Array.from({ length: 7 }, () => ['prediction', 'budget', 1]));
    const counted = world.written
      .flatMap(({ runs }) => runs)
      .reduce((sum, run) => sum + (run.counts['predictions'] ?? 0), 0);
    expect(counted).toBe(all);
    world.now += RUN_WINDOW_MS;
    recorder.record(predicted(all), world.ports);
    await world.settle();
    expect(world.written.at(-1)?.predictions).toHaveLength(1);
  });

  it('adds up all facts, in any interleaving with writes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ by: fc.nat(9), settle: fc.boolean(), wait: fc.nat(90_000) })),
        async (steps) => {
          const world = new World();
          const recorder = new LineageRecorder();
          for (const { by, settle, wait } of steps) {
            recorder.record({ ...FOLD, counts: { events: by } }, world.ports);
            if (settle) {
              await world.settle();
              world.now += wait;
            }
          }
          await world.settle();
          const runs = world.written.flatMap((write) => write.runs);
          const told = runs.reduce((sum, { counts }) => sum + (counts['events'] ?? 0), 0);
          expect(told).toBe(steps.reduce((sum, { by }) => sum + by, 0));
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('the observed facts', () => {
  const message: EventsMessage = {
    v: 1,
    receivedAt: AT,
    accepted: ['1', '2', '3'].map((id) => ({
      source: '/t',
      id,
      type: 'shop.product-view.v1',
      subject: null,
      time: new Date(AT).toISOString(),
      data: { sku: 'S1' },
    })),
    refused: [{ raw: {}, reason: 'invalid_event', pointer: '', detail: '' }],
  };
  const ports = (storeEvents: StorePorts['storeEvents']): StorePorts => ({
    types: catalog.eventTypes,
    storeEvents,
    keepRefused: async () => undefined,
    classifyFault: () => 'unavailable',
    fingerprint: async () => '',
  });

  it('of storing are the stored, duplicate and refused events', async () => {
    const told: LineageFacts[] = [];
    const known = [
      { source: '/t', id: '1', same: true },
      { source: '/t', id: '2', same: false },
    ];
    await storeObserved(
      [message],
      ports(async () => known),
      (facts) => told.push(facts),
    );
    expect(told.map(({ job, counts }) => ({ job, counts }))).toEqual([
      {
        job: 'ingest',
        counts: {
          received: 4,
          stored: 1,
          duplicates: 1,
          'quarantined:invalid_event': 1,
          'quarantined:conflicting_duplicate': 1,
        },
      },
    ]);
  });

  it('of a failure are one failure, which the caller gets too', async () => {
    const told: LineageFacts[] = [];
    const tell = (facts: LineageFacts) => told.push(facts);
    const away = async () => {
      throw new Error('away');
    };
    await expect(storeObserved([message], ports(away), tell)).rejects.toThrow('away');
    await expect(foldObserved([{ seq: 1 }], away, tell)).rejects.toThrow('away');
    expect(told.map(({ job, counts }) => [job, counts])).toEqual([
      ['ingest', { failures: 1 }],
      ['fold', { failures: 1 }],
    ]);
  });

  it('of folding are the numbers of events and keys, and the range of event numbers', async () => {
    const told: LineageFacts[] = [];
    const folded = await foldObserved(
      [{ seq: 9 }, { seq: 4 }],
      async () => ({ tags: ['a', 'b', 'a'] }),
      (facts) => told.push(facts),
    );
    expect(folded).toEqual({ tags: ['a', 'b', 'a'] });
    expect(told).toMatchObject([{ job: 'fold', counts: { events: 2, keys: 2 }, firstSeq: 4, lastSeq: 9 }]);
  });
});
