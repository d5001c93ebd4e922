import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { OBSERVED_ROWS_MAX, type ObservedRows } from '../../src/inference/observed-rows.ts';
import { DRIFT_VERDICTS } from '../../src/operations/observation.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { log } from '../../src/platform/logger.ts';
import { countInObject } from '../../src/platform/object-counts.ts';
import type { DriftProfile } from '../../src/training/drift/profile.ts';
import { DriftWatch, type DriftWatchState } from '../../src/training/drift/watch.ts';
import { DriftWatchStore } from './store.ts';

/** Versions of a model that are watched at once: champion, canary, and the one before. */
const VERSIONS_MAX = 3;
/** How long a version without a profile is not looked up again, in milliseconds. */
const UNWATCHED_MS = 60_000;
/** The pause between two attempts to begin a run for a drift that goes on, in milliseconds. */
const ASK_AGAIN_MS = 60_000;
const COLUMNS_MAX = 300;

const Model = z.string().min(1).max(64);
const Rows = z.strictObject({
  version: z.string().min(1).max(64),
  columns: z.array(z.string().max(200)).max(COLUMNS_MAX),
  // Zod's numbers are finite.
  rows: z.array(z.array(z.union([z.number(), z.nan()])).max(COLUMNS_MAX)).max(OBSERVED_ROWS_MAX),
});

/** What is known of one version. */
export interface WatchedVersion extends Omit<DriftWatchState, 'detector'> {
  readonly version: string;
  readonly atMs: number;
  readonly rows: number;
}

export interface DriftWatchesPorts {
  /** Undefined if the version has none. */
  readonly profile: (model: string, version: string) => Promise<DriftProfile | undefined>;
  /** Whether the model asks for a training run on a drift. */
  readonly trainsOnDrift: (model: string) => boolean;
  /** Asks for a training run. @returns the run's id, or why there is none. */
  readonly train: (model: string) => Promise<{ readonly run: string | null; readonly why: string | null }>;
}

/**
 * Watches the rows that the versions of one model answer, and asks for a training run when they drift. One object for each
 * model, named by it. What was seen is saved with each verdict, every 25 rows; rows since the last one are lost with the
 * object.
 */
export class DriftWatches extends DurableObject {
  readonly #store: DriftWatchStore;
  readonly #ports: DriftWatchesPorts;
  readonly #open = new Map<string, DriftWatch>();
  readonly #unwatchedUntil = new Map<string, number>();
  /** Rows are taken one report after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: DriftWatchesPorts) {
    super(ctx, env);
    this.#store = new DriftWatchStore(ctx.storage);
    this.#ports = ports;
  }

  /** Adds rows that an isolate answered. @returns whether the version is watched: it is if it has a profile. */
  async observe(model: string, observed: ObservedRows): Promise<boolean> {
    const name = Model.parse(model);
    const rows = Rows.parse(observed);
    return await this.#inTurn(() => this.#observe(name, rows));
  }

  /** The versions that are watched, the one that was seen last first. */
  async report(): Promise<WatchedVersion[]> {
    return this.#store.list().flatMap(({ version, atMs }) => {
      const state = this.#open.get(version)?.state ?? this.#store.load(version);
      if (state === undefined) return [];
      const { detector, ...seen } = state;
      return [{ version, atMs, rows: detector.rows, ...seen }];
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }

  async #observe(model: string, { version, columns, rows }: ObservedRows): Promise<boolean> {
    const watch = await this.#opened(model, version);
    if (watch === undefined) return false;
    const now = systemNow();
    const isJudged = watch.add(columns, rows, now);
    if (isJudged)
      countInObject(DRIFT_VERDICTS, { model, verdict: watch.current === undefined ? 'stable' : 'drifting' });
    const isAsked = await this.#askForTraining(model, version, watch, now);
    if (isJudged || isAsked) this.#store.save(version, watch.state, now, VERSIONS_MAX);
    return true;
  }

  /**
   * Asks for a run while a drift goes on, each minute: the first run may have seen too little of what has changed. The model's
   * policy says how often runs begin. @returns whether it asked.
   */
  async #askForTraining(model: string, version: string, watch: DriftWatch, nowMs: number): Promise<boolean> {
    const { current } = watch;
    if (current === undefined || !watch.wantsTraining(nowMs, ASK_AGAIN_MS)) return false;
    if (!this.#ports.trainsOnDrift(model)) return false;
    const { training } = current;
    const fields = {
      'event.action': 'drift',
      'millrace.model.name': model,
      'millrace.model.version': version,
      'millrace.column': current.found.column,
    };
    if (training === null) log('warn', 'The rows that a model is asked about have drifted.', fields);
    try {
      const { run, why } = await this.#ports.train(model);
      watch.asked({ run: run ?? training?.run ?? null, why, atMs: nowMs });
    } catch (error) {
      log('warn', 'A drift could not begin a training run; the next rows ask again.', fields, error);
      watch.asked({ run: null, why: 'unavailable', atMs: nowMs });
    }
    return true;
  }

  async #opened(model: string, version: string): Promise<DriftWatch | undefined> {
    const known = this.#open.get(version);
    if (known !== undefined) return known;
    if ((this.#unwatchedUntil.get(version) ?? 0) > systemNow()) return undefined;
    const profile = await this.#ports.profile(model, version);
    if (profile === undefined) {
      if (this.#unwatchedUntil.size > VERSIONS_MAX) this.#unwatchedUntil.clear();
      this.#unwatchedUntil.set(version, systemNow() + UNWATCHED_MS);
      return undefined;
    }
    const watch = watchOf(profile, this.#store.load(version));
    if (this.#open.size >= VERSIONS_MAX) this.#open.clear();
    this.#open.set(version, watch);
    return watch;
  }
}

/** Goes on from what was saved; a state of another profile begins anew. */
function watchOf(profile: DriftProfile, state: DriftWatchState | undefined): DriftWatch {
  try {
    return new DriftWatch(profile, state);
  } catch (error) {
    if (error instanceof RangeError) return new DriftWatch(profile);
    throw error;
  }
}
