import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { EvidenceRecord, Position } from '../../src/inference/rollout/evidence.ts';
import type { MoveReason } from '../../src/inference/rollout/moves.ts';
import { RolloutReport } from '../../src/inference/rollout/observed.ts';
import { type Challenger, RolloutWatch } from '../../src/inference/rollout/watch.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { log } from '../../src/platform/logger.ts';
import { RolloutStore, type Watched } from './store.ts';

/** The pause between two verdicts, in milliseconds. A bad version is out a few of them after its first failures. */
const JUDGE_EVERY_MS = 2_000;
/** How often the registry is read, in milliseconds: people change it too. */
const REFRESH_EVERY_MS = 10_000;
/** The pause after a failure, in milliseconds. */
const RETRY_MS = 5_000;

const Model = z.string().min(1).max(64);
const Labels = z.array(z.array(z.int().nonnegative()).length(4)).max(100);

/** Where a rollout is, as the registry has it. */
export interface RegisteredRollout extends Watched {
  /** The version that `champion` names now. */
  readonly champion: string | null;
  /** The newer version that would be rolled out if this rollout ended; null without one. */
  readonly challenger: Challenger | null;
}

export interface RolloutsPorts {
  /** The rollout of a model that is under way; undefined if there is none. */
  readonly current: (model: string) => Promise<RegisteredRollout | undefined>;
  /** Begins the rollout of the version that `challenger` names, if the model declares that and the version had none yet. */
  readonly begin: (model: string) => Promise<void>;
  /** Takes a step. @returns the number of its row; null if the registry is elsewhere. */
  readonly move: (from: Watched, to: RolloutStep) => Promise<number | null>;
}

/** A step, with what its decision was made of. */
export interface RolloutStep {
  readonly position: Position;
  readonly reason: MoveReason;
  readonly evidence: EvidenceRecord;
}

/**
 * Watches the rollout of one model, and moves it. One object for each model, named by it. The registry in Postgres has where
 * the rollout is; the object has what isolates reported since. An isolate reports every two seconds while it answers, so
 * 1,000 isolates make 500 calls a second.
 */
export class Rollouts extends DurableObject {
  readonly #store: RolloutStore;
  readonly #ports: RolloutsPorts;
  #watched: Omit<Watched, 'record'> | undefined;
  #watch: RolloutWatch | undefined;
  /** The newer version that waits, as of the last read of the registry. */
  #challenger: Challenger | undefined;
  #readMs = Number.NEGATIVE_INFINITY;
  /** Reads and moves happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: RolloutsPorts) {
    super(ctx, env);
    this.#store = new RolloutStore(ctx.storage);
    this.#ports = ports;
    const known = this.#store.load();
    if (known !== undefined) this.#adopt(known);
  }

  /** Adds what an isolate saw. A report of a rollout that is not under way is dropped. */
  async report(model: string, report: RolloutReport): Promise<void> {
    const { rollout, champion, canary } = RolloutReport.parse(report);
    await this.#add(Model.parse(model), rollout, (watch) => watch.add({ champion, canary }));
  }

  /** Adds answers whose labels are known. They are dropped if the rollout is not under way. */
  async labelled(model: string, rollout: string, batches: readonly (readonly number[])[]): Promise<void> {
    const labels = Labels.parse(batches);
    await this.#add(Model.parse(model), rollout, (watch) => watch.addLabels(labels));
  }

  /** Reads where the rollout of the model is, and begins one if there is a reason to. */
  async wake(model: string): Promise<void> {
    await this.#inTurn(async () => {
      await this.#refresh(Model.parse(model));
      if (this.#watched === undefined) await this.#begin(model);
    });
  }

  /** What has been seen since the newest row of the registry; null while no rollout is under way. */
  async live(): Promise<{ rollout: string; record: EvidenceRecord } | null> {
    if (this.#watched === undefined || this.#watch === undefined) return null;
    return { rollout: this.#watched.rollout, record: this.#watch.record };
  }

  override async alarm(): Promise<void> {
    if (this.#watched === undefined) return;
    try {
      await this.#inTurn(() => this.#step());
      if (this.#watched !== undefined) await this.#ringIn(JUDGE_EVERY_MS);
    } catch (error) {
      const message = 'A step of a rollout failed; the alarm retries.';
      log('warn', message, { 'event.action': 'rollout', 'millrace.model.name': this.#watched?.model }, error);
      await this.#ringIn(RETRY_MS);
    }
  }

  /** Adds to the rollout if it is under way. An object that does not know it reads the registry first. */
  async #add(model: string, rollout: string, add: (watch: RolloutWatch) => void): Promise<void> {
    if (this.#watched?.rollout !== rollout && this.#isDue(JUDGE_EVERY_MS))
      await this.#inTurn(() => this.#refresh(model));
    if (this.#watched?.rollout !== rollout || this.#watch === undefined) return;
    add(this.#watch);
    if ((await this.ctx.storage.getAlarm()) === null) await this.#ringIn(JUDGE_EVERY_MS);
  }

  async #begin(model: string): Promise<void> {
    await this.#ports.begin(model);
    await this.#refresh(model);
  }

  async #step(): Promise<void> {
    if (this.#isDue(REFRESH_EVERY_MS) && this.#watched !== undefined)
      await this.#refresh(this.#watched.model);
    const [watched, watch] = [this.#watched, this.#watch];
    if (watched === undefined || watch === undefined) return;
    const { verdict, record } = watch.judge(systemNow(), this.#challenger);
    const { stage, step } = record;
    if (verdict.action === 'roll_back') {
      const reason = verdict.reason === 'too_early' ? 'expired' : verdict.reason;
      await this.#move({ position: { stage: 'rolled_back', step }, reason, evidence: record });
    } else if (verdict.action === 'advance')
      await this.#move({ position: watch.next, reason: 'enough_seen', evidence: record });
    else if (watch.isFull)
      await this.#move({ position: { stage, step }, reason: 'record_full', evidence: record });
    else this.#store.save({ ...watched, record });
  }

  async #move(to: RolloutStep): Promise<void> {
    const [watched, watch] = [this.#watched, this.#watch];
    if (watched === undefined || watch === undefined) return;
    const row = await this.#ports.move({ ...watched, record: watch.record }, to);
    if (row === null) return await this.#refresh(watched.model);
    const { stage } = to.position;
    if (stage === 'champion' || stage === 'rolled_back') {
      this.#forget();
      // A newer challenger may wait for the end of this one.
      return await this.#begin(watched.model);
    }
    watch.goOn(to.position, systemNow());
    this.#watched = { ...watched, row };
    this.#store.save({ ...this.#watched, record: watch.record });
  }

  /** Reads the registry. A rollout whose champion has been replaced meanwhile ends. */
  async #refresh(model: string): Promise<void> {
    const found = await this.#ports.current(model);
    this.#readMs = systemNow();
    if (found === undefined) return this.#forget();
    const { champion, challenger, ...registered } = found;
    this.#challenger = challenger ?? undefined;
    if (this.#watched?.row !== registered.row) {
      this.#adopt(registered);
      this.#store.save(registered);
      await this.#ringIn(JUDGE_EVERY_MS);
    }
    if (champion === registered.base) return;
    const position = { stage: 'rolled_back', step: registered.record.step } as const;
    const evidence = this.#watch?.record ?? registered.record;
    await this.#ports.move(registered, { position, reason: 'superseded', evidence });
    this.#forget();
  }

  #adopt({ record, ...watched }: Watched): void {
    this.#watched = watched;
    this.#watch = RolloutWatch.restore(record);
  }

  #forget(): void {
    this.#watched = undefined;
    this.#watch = undefined;
    this.#challenger = undefined;
    this.#store.clear();
  }

  #isDue(everyMs: number): boolean {
    return systemNow() - this.#readMs >= everyMs;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  async #ringIn(ms: number): Promise<void> {
    await this.ctx.storage.setAlarm(systemNow() + ms);
  }
}
