import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { ModelDefinition } from '../../src/define/model.ts';
import { TRAINING_RUNS } from '../../src/operations/observation.ts';
import { systemNow, withTimeout } from '../../src/platform/clock.ts';
import { newId } from '../../src/platform/ids.ts';
import { log } from '../../src/platform/logger.ts';
import { countInObject } from '../../src/platform/object-counts.ts';
import { isScheduled, mayBegin, RUN_REASONS, type RunReason } from '../../src/training/runs/policy.ts';
import type { RunnerPorts } from '../../src/training/runs/ports.ts';
import { ended, inStage, isEnded, newRun, type TrainingRun } from '../../src/training/runs/run.ts';
import type { TrainingRunner } from '../../src/training/runs/runner.ts';
import { TrainingRunsStore } from './store.ts';

/** Steps of one alarm, and the time after which no other step begins: an invocation has 30 s of CPU. */
const STEPS_MAX = 50;
const ALARM_MS = 8_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/** Failures of one step in a row, over some twenty minutes, after which a run has failed. */
const FAILURES_MAX = 25;
/** If the object is lost during an alarm, the next one comes after this time, in milliseconds. */
const LOST_AFTER_MS = 60_000;
/** Runs that are kept with their datasets, so that a list has a bound. */
export const RUNS_MAX = 200;
/** Runs whose files one call of retention deletes. */
const EXPIRED_MAX = 10;
/** Events that were stored later may still be joined by earlier ones, so a snapshot is as of this long ago. */
const SETTLED_MS = 60_000;

/**
 * How long a beginning may wait for the database, in milliseconds. A caller waits for 5 s: a run that began later would be
 * one of which its caller was told that it does not begin.
 */
const BEGIN_WITHIN_MS = 4_000;

const Id = z.uuid();

export interface TrainingRunsPorts {
  readonly models: readonly ModelDefinition[];
  /** Called with the first step. */
  readonly runner: () => Pick<TrainingRunner, 'step' | 'keep' | 'end' | 'cancelled' | 'forget'>;
  /** The number of the newest event. */
  readonly newestSeq: () => Promise<number>;
  /** How many label events of a model were stored after an event, counted up to a number. */
  readonly labelEvents: (model: ModelDefinition, after: number, max: number) => Promise<number>;
  /** Called with the first run that is removed. */
  readonly removed: () => {
    readonly dataset: RunnerPorts['datasets']['remove'];
    readonly kept: RunnerPorts['kept']['remove'];
  };
}

/** A run that has begun or goes on, or why it does not: another one is under way, or too little time has passed. */
interface Begun {
  /** Null if it does not. */
  readonly run: TrainingRun | null;
  readonly why: 'active' | 'debounced' | 'unknown' | null;
}
type NotBegun = 'active' | 'debounced';

/**
 * Trains models, one run at a time and in bounded steps. One object, named `main`. A run is on disk after each step, and what
 * was learned is in R2 after each alarm: after an eviction, the stage that was under way goes on from there.
 */
export class TrainingRuns extends DurableObject {
  readonly #store: TrainingRunsStore;
  readonly #ports: TrainingRunsPorts;
  /** The runs whose files are being deleted: none of them is resumed meanwhile. */
  readonly #expiring = new Set<string>();

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: TrainingRunsPorts) {
    super(ctx, env);
    this.#store = new TrainingRunsStore(ctx.storage);
    this.#ports = ports;
  }

  /**
   * Begins a run of a model. A run by hand only waits for the one before it to end; every other reason also for the time that
   * the model declares between two runs.
   *
   * @param by who or what asked for it.
   */
  async begin(model: string, reason: RunReason, by: string): Promise<Begun> {
    const definition = this.#definitionOf(model);
    z.enum(RUN_REASONS).parse(reason);
    const now = systemNow();
    const before = this.#refusalOf(definition, reason, now);
    if (before !== undefined) return { run: null, why: before };
    const lastSeq = await withTimeout(
      this.#ports.newestSeq(),
      BEGIN_WITHIN_MS,
      () => new Error(`The database did not answer within ${BEGIN_WITHIN_MS} ms; no run has begun.`),
    );
    // Another call may have begun one in between.
    const since = this.#refusalOf(definition, reason, now);
    if (since !== undefined) return { run: null, why: since };
    const { seed } = definition.retraining;
    const run = newRun({
      ...{ id: newId(), model, reason, by, begunMs: now, asOf: now - SETTLED_MS, lastSeq, seed },
    });
    this.#store.save(run);
    countInObject(TRAINING_RUNS, { model, state: 'begun' });
    await this.ctx.storage.setAlarm(now);
    return { run, why: null };
  }

  /** The newest first. */
  async list(model: string | null, limit: number): Promise<TrainingRun[]> {
    return this.#store.list(model ?? undefined, Math.min(limit, RUNS_MAX));
  }

  async read(id: string): Promise<TrainingRun | null> {
    return this.#store.read(Id.parse(id)) ?? null;
  }

  /** Ends a run that is not over. @returns the run, which may have ended before; null if there is none. */
  async cancel(id: string, by: string): Promise<TrainingRun | null> {
    const run = this.#store.read(Id.parse(id));
    if (run === undefined || isEnded(run)) return run ?? null;
    const over = ended(run, 'cancelled', systemNow(), { code: 'cancelled', detail: `Cancelled by ${by}.` });
    this.#store.save(over);
    countInObject(TRAINING_RUNS, { model: over.model, state: over.state });
    this.ctx.waitUntil(this.#tellCancelled(over));
    this.ctx.waitUntil(this.#cancelDataset(over));
    return over;
  }

  /**
   * Goes on with a run that failed or was cancelled, from the stage in which it ended.
   *
   * @returns `unknown` if there is none; `active` if it is under way, done or refused, or another run of the model is.
   */
  async resume(id: string): Promise<Begun> {
    const run = this.#store.read(Id.parse(id));
    if (run === undefined) return { run: null, why: 'unknown' };
    const isOver = (run.state === 'failed' || run.state === 'cancelled') && !this.#expiring.has(id);
    if (!isOver || this.#store.active(run.model) !== undefined) return { run: null, why: 'active' };
    const resumed = { ...inStage(run, run.stage), lineage: newId(), endedMs: null, failure: null };
    this.#store.save(resumed);
    await this.ctx.storage.setAlarm(systemNow());
    return { run: resumed, why: null };
  }

  /**
   * Deletes what is kept of runs that ended before a moment without a version. Such a run begins anew if it is resumed.
   *
   * @returns the moments at which these ended, at most ten: a call of R2 each.
   */
  async expire(beforeMs: number): Promise<number[]> {
    const isOld = (run: TrainingRun) =>
      isEnded(run) && run.isKept && run.endedMs !== null && run.endedMs < beforeMs;
    const old = this.#store.list(undefined, RUNS_MAX).filter(isOld).slice(-EXPIRED_MAX);
    const gone: number[] = [];
    for (const { id } of old) {
      this.#expiring.add(id);
      try {
        await this.#ports.removed().kept(id);
        const run = this.#store.read(id);
        if (run === undefined || !isOld(run)) continue;
        const stage = run.stage === 'queued' ? run.stage : 'dataset';
        this.#store.save({ ...run, stage, isKept: false });
        gone.push(run.endedMs ?? beforeMs);
      } finally {
        this.#expiring.delete(id);
      }
    }
    return gone;
  }

  /** Which of some datasets a run still needs: one that is under way, or one that can be resumed from what is kept. */
  async needed(datasets: readonly string[]): Promise<string[]> {
    const needs = (run: TrainingRun) =>
      !isEnded(run) || (run.isKept && (run.state === 'failed' || run.state === 'cancelled'));
    const used = new Set(
      this.#store
        .list(undefined, RUNS_MAX)
        .filter(needs)
        .map(({ dataset }) => dataset?.id),
    );
    return datasets.filter((id) => used.has(id));
  }

  /** Begins the runs that are due by the number of new events or by the time. @returns how many have begun. */
  async check(): Promise<number> {
    let begun = 0;
    for (const definition of this.#ports.models) {
      const { name, retraining } = definition;
      const newest = this.#store.list(name, 1)[0];
      const known = newest && { begunMs: newest.begunMs, isActive: !isEnded(newest) };
      if (!mayBegin(retraining, known, systemNow())) continue;
      const { afterEvents } = retraining;
      const reason = isScheduled(retraining, known, systemNow())
        ? 'schedule'
        : afterEvents !== undefined &&
            (await this.#ports.labelEvents(definition, newest?.lastSeq ?? 0, afterEvents)) >= afterEvents
          ? 'events'
          : undefined;
      if (reason === undefined) continue;
      if ((await this.begin(name, reason, 'policy')).run !== null) begun += 1;
    }
    return begun;
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(systemNow() + LOST_AFTER_MS);
    const startMs = systemNow();
    let waitMs = 0;
    for (let steps = 0; steps < STEPS_MAX && systemNow() - startMs < ALARM_MS && waitMs === 0; steps += 1) {
      const run = this.#store.next();
      if (run === undefined) {
        if (await this.#tidy()) continue;
        await this.ctx.storage.deleteAlarm();
        return;
      }
      waitMs = await this.#step(run);
    }
    await this.#keep();
    await this.ctx.storage.setAlarm(systemNow() + waitMs);
  }

  /** @returns how long to wait before the next step, in milliseconds. */
  async #step(run: TrainingRun): Promise<number> {
    const runner = this.#ports.runner();
    try {
      const stepped = await runner.step(run);
      return this.#save(run, stepped.run) ? stepped.waitMs : 0;
    } catch (error) {
      log(
        'warn',
        'A step of a training run failed; the alarm retries.',
        { 'event.action': 'training' },
        error,
      );
      runner.forget();
      const failures = run.failures + 1;
      if (failures < FAILURES_MAX) this.#save(run, { ...run, failures });
      else this.#save(run, await runner.end(run, 'failed', error).catch(() => ({ ...run, failures })));
      return Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (failures - 1));
    }
  }

  /** Nobody waits for lineage. What it is not told, its sweep ends a day later. */
  async #tellCancelled(run: TrainingRun): Promise<void> {
    try {
      await this.#ports.runner().cancelled(run);
    } catch (error) {
      const message = 'Lineage was not told of a cancelled training run; its sweep ends the run.';
      log('warn', message, { 'event.action': 'training' }, error);
    }
  }

  /**
   * Removes a dataset that the run still waited for: the next run's is made after it. A run that is resumed has it made
   * again. A dataset that stays because its object does not answer is made for nothing.
   */
  async #cancelDataset({ stage, dataset }: TrainingRun): Promise<void> {
    if (stage !== 'dataset' || dataset === null) return;
    try {
      await this.#ports.removed().dataset(dataset.id);
    } catch (error) {
      const message = 'The dataset of a cancelled training run could not be removed.';
      log('warn', message, { 'event.action': 'training' }, error);
    }
  }

  /** Saves a step, unless the run was cancelled while it was done. */
  #save(before: TrainingRun, after: TrainingRun): boolean {
    const stored = this.#store.read(before.id);
    if (stored === undefined || stored.state !== before.state) {
      this.#ports.runner().forget();
      return false;
    }
    this.#store.save(after);
    if (isEnded(after)) countInObject(TRAINING_RUNS, { model: after.model, state: after.state });
    return true;
  }

  async #keep(): Promise<void> {
    const run = this.#store.next();
    if (run === undefined) return;
    try {
      this.#save(run, await this.#ports.runner().keep(run));
    } catch (error) {
      // What is in memory goes on; a restart repeats the steps since the last checkpoint.
      log('warn', 'A checkpoint could not be kept.', { 'event.action': 'training' }, error);
    }
  }

  /** Removes a run that is too many, with its dataset. @returns whether there was one. */
  async #tidy(): Promise<boolean> {
    const run = this.#store.surplus(RUNS_MAX);
    if (run === undefined) return false;
    const { dataset, kept } = this.#ports.removed();
    try {
      await kept(run.id);
      if (run.dataset !== null) await dataset(run.dataset.id);
    } catch (error) {
      log(
        'warn',
        'Files of an old training run could not be deleted.',
        { 'event.action': 'training' },
        error,
      );
    }
    this.#store.remove(run.id);
    return true;
  }

  #refusalOf({ name, retraining }: ModelDefinition, reason: RunReason, nowMs: number): NotBegun | undefined {
    if (this.#store.active(name) !== undefined) return 'active';
    const newest = this.#store.list(name, 1)[0];
    const known = newest && { begunMs: newest.begunMs, isActive: false };
    return reason === 'hand' || mayBegin(retraining, known, nowMs) ? undefined : 'debounced';
  }

  #definitionOf(model: string): ModelDefinition {
    const definition = this.#ports.models.find(({ name }) => name === model);
    if (definition === undefined) throw new Error(`The catalog has no model "${model}".`);
    return definition;
  }
}
