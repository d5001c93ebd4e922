import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { systemNow } from '../../src/platform/clock.ts';
import { Failure } from '../../src/platform/failure.ts';
import { log } from '../../src/platform/logger.ts';
import type { DatasetBuilder } from '../../src/training/datasets/build.ts';
import type { DatasetReport } from '../../src/training/datasets/report.ts';
import { DatasetSpec, datasetId } from '../../src/training/datasets/spec.ts';
import { DatasetsStore } from './store.ts';

/** Steps of one alarm: an invocation may make a thousand calls, and a step makes one or two. */
const STEPS_MAX = 25;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/** If the object is lost during an alarm and nobody calls it, the next one comes after this time, in milliseconds. */
const LOST_AFTER_MS = 120_000;
/** Datasets that are kept, so that a list has a bound. */
export const DATASETS_MAX = 500;
/** Failures that another attempt does not change. */
const FINAL = new Set(['dataset_too_large', 'dataset_empty', 'recipe_changed', 'history_pruned']);

const Id = z.string().regex(/^[0-9a-f]{32}$/);

export interface DatasetsPorts {
  /** Called with the first step. */
  readonly builder: () => Pick<DatasetBuilder, 'step' | 'forget'>;
  /** Deletes files of a dataset, a bounded number of them. @returns whether more are left. */
  readonly removeFiles: (id: string) => Promise<boolean>;
}

/**
 * Makes datasets, one at a time and in bounded steps. One object, named `main`. A step reads a page of history, or writes a
 * file to R2, and is on disk when it ends; the part that is being made is in memory, and begins again after an eviction.
 */
export class Datasets extends DurableObject {
  readonly #store: DatasetsStore;
  readonly #ports: DatasetsPorts;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: DatasetsPorts) {
    super(ctx, env);
    this.#store = new DatasetsStore(ctx.storage);
    this.#ports = ports;
    // An object that was lost during an alarm has its next one after `LOST_AFTER_MS`. The first call sets it to now.
    if (this.#store.next() !== undefined)
      void ctx.blockConcurrencyWhile(() => ctx.storage.setAlarm(systemNow()));
  }

  /**
   * Begins to make a dataset. The same one that is there already stays as it is, unless it failed.
   *
   * @param quality what was known of the quality of the events, as JSON.
   * @returns null if there are too many datasets, or this one is being deleted.
   */
  async begin(spec: DatasetSpec, quality: string): Promise<DatasetReport | null> {
    const checked = DatasetSpec.parse(spec);
    const id = datasetId(checked);
    const known = this.#store.report(id);
    if (known?.state === 'deleting') return null;
    if (known !== undefined && known.state !== 'failed') {
      this.#store.use(id, systemNow());
      return known;
    }
    if (known !== undefined) this.#store.remove(id);
    if (this.#store.count() >= DATASETS_MAX) return null;
    this.#store.begin(id, checked, JSON.parse(quality), systemNow());
    await this.ctx.storage.setAlarm(systemNow());
    return this.#store.report(id) ?? null;
  }

  /** The newest first. */
  async list(): Promise<DatasetReport[]> {
    return this.#store.reports(DATASETS_MAX);
  }

  /** A dataset and its manifest as JSON, which is null while it is not ready; null if there is no such dataset. */
  async read(id: string): Promise<{ report: DatasetReport; manifest: string | null } | null> {
    const report = this.#store.report(Id.parse(id));
    return report === undefined ? null : { report, manifest: this.#store.manifest(id) };
  }

  /** Cancels or deletes a dataset; its files are deleted soon after. @returns whether there is such a dataset. */
  async remove(id: string): Promise<boolean> {
    const isThere = this.#store.beginDeleting(Id.parse(id));
    if (isThere) await this.ctx.storage.setAlarm(systemNow());
    return isThere;
  }

  /** The datasets that are over and that nobody has asked for since a moment; the oldest first. */
  async unused(beforeMs: number): Promise<DatasetReport[]> {
    return this.#store.unused(beforeMs, DATASETS_MAX);
  }

  /** Deletes a dataset for good, unless somebody has asked for it since the moment. @returns false if somebody has. */
  async expire(id: string, beforeMs: number): Promise<boolean> {
    const isExpired = this.#store.expire(Id.parse(id), beforeMs);
    if (isExpired) await this.ctx.storage.setAlarm(systemNow());
    return isExpired;
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(systemNow() + LOST_AFTER_MS);
    try {
      for (let steps = 0; steps < STEPS_MAX; steps += 1) {
        if (await this.#step()) continue;
        await this.ctx.storage.deleteAlarm();
        return;
      }
      this.#failures = 0;
      await this.ctx.storage.setAlarm(systemNow());
    } catch (error) {
      this.#failures += 1;
      log('warn', 'A step of a dataset failed; the alarm retries.', { 'event.action': 'dataset' }, error);
      const delayMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (this.#failures - 1));
      await this.ctx.storage.setAlarm(systemNow() + delayMs);
    }
  }

  /** @returns whether there was anything to do. */
  async #step(): Promise<boolean> {
    const next = this.#store.next();
    if (next === undefined) return false;
    const { id, job } = next;
    if (job === undefined) {
      if (!(await this.#ports.removeFiles(id))) this.#store.remove(id);
      return true;
    }
    try {
      await this.#ports.builder().step(job, this.#store.of(id, systemNow));
    } catch (error) {
      this.#ports.builder().forget();
      if (!(error instanceof Failure) || !FINAL.has(error.code)) throw error;
      this.#store.fail(id, { code: error.code, detail: error.message }, systemNow());
    }
    return true;
  }
}
