import { DurableObject } from 'cloudflare:workers';
import type { ClockMoment } from '../../src/define/view.ts';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { Sweeper } from '../../src/pipeline/relay.ts';
import { systemNow, type Time } from '../../src/platform/clock.ts';
import { log } from '../../src/platform/logger.ts';
import { Backfill } from './backfill.ts';

/** Delay of an armed sweep, in milliseconds: long enough for the writer to have relayed its own commit. */
const ARMED_DELAY_MS = 2_000;
const RETRY_DELAY_MS_MAX = 60_000;
/**
 * In storage if `arm` was called while an alarm was set. That alarm may fire before the caller's commit, so one more has to
 * follow it, also after an eviction. It is written once for each alarm.
 */
const ARMED_AGAIN = 'armed-again';

/** How long a caller waits for a step of a sweep that relays something, in milliseconds. */
const STEP_MS = 10_000;

export interface SweepOutcome {
  readonly relayed: number;
}

/** What has been relayed since the call. If it is not over, the sweep goes on. */
export interface SweepStep extends SweepOutcome {
  readonly isOver: boolean;
}

class StepEnded extends Error {}

/** What the relay remembers since it was last started, for a diagnosis. All moments are in milliseconds since the Unix epoch. */
export interface RelayStatus {
  readonly startedAtMs: number;
  /** When the cron last called; null if it has not since the start. */
  readonly cronAtMs: number | null;
  /** When the alarm fires; null while none is set. */
  readonly alarmAtMs: number | null;
  /** Failures of the alarm since it last succeeded. */
  readonly failures: number;
  /** Why the last step of a backfill failed; null if it did not. A later call repeats it. */
  readonly backfillFailure: string | null;
}

/** The effects of the relay beside its own alarm. */
export interface OutboxRelayPorts {
  /** Called once for each sweep. */
  readonly relay: () => RelayPorts;
  /** Whether the database refused a statement for what it says. */
  readonly isRefused: (error: unknown) => boolean;
  /**
   * Does the next step of building new features from history, and says whether more is left to do. If it is forced, it
   * asks every shard, and not the database alone.
   */
  readonly backfill: (isForced: boolean) => Promise<boolean>;
  /** Opens a pass over the outbox at the root clock; the returned function closes it. */
  readonly openPass: () => Promise<() => Promise<void>>;
  /** Ends the wait of a caller, never the sweep. */
  readonly withTimeout: Time['withTimeout'];
}

/**
 * Relays the database's outbox to the clock and the `changes` queue. One object, named `main`, so there is one
 * sweeper. It stores nothing but its alarm and whether another one follows; pending changes are in Postgres.
 */
export class OutboxRelay extends DurableObject {
  readonly #sweeper: Sweeper;
  readonly #backfill: Backfill;
  readonly #withTimeout: Time['withTimeout'];
  readonly #startedAtMs = systemNow();
  #cronAtMs: number | null = null;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: OutboxRelayPorts) {
    super(ctx, env);
    this.#sweeper = new Sweeper(ports);
    this.#backfill = new Backfill(ports.backfill);
    this.#withTimeout = ports.withTimeout;
  }

  /** Schedules a sweep, which runs even if the caller dies. Call it before a commit. */
  async arm(): Promise<void> {
    const { storage } = this.ctx;
    if ((await storage.getAlarm()) === null) await this.#setAlarm(ARMED_DELAY_MS);
    else if ((await storage.get(ARMED_AGAIN)) === undefined) await storage.put(ARMED_AGAIN, true);
  }

  /** Relays everything that was committed before the call. */
  async sweep(): Promise<SweepOutcome> {
    await this.arm();
    return { relayed: await this.#sweeper.sweep() };
  }

  /**
   * Relays everything that was committed before the call, and answers after ten seconds if something was relayed in them: a
   * long outbox takes longer than one call may. A sweep without progress is waited for.
   */
  async sweepStep(): Promise<SweepStep> {
    await this.arm();
    const before = this.#sweeper.relayed;
    const isOver = await this.#inStep(this.#sweeper.sweep());
    return { relayed: this.#sweeper.relayed - before, isOver };
  }

  /** Waits for the work, or for the end of a step in which something was relayed. @returns whether the work is over. */
  async #inStep(work: Promise<unknown>): Promise<boolean> {
    const before = this.#sweeper.relayed;
    try {
      await this.#withTimeout(work, STEP_MS, () => new StepEnded());
    } catch (error) {
      if (!(error instanceof StepEnded)) throw error;
      // The alarm repeats a sweep that fails later.
      work.catch(() => undefined);
      if (this.#sweeper.relayed > before) return false;
      await work;
    }
    return true;
  }

  /**
   * Invalidates every live change that was committed before the call. The answer waits neither for bulk changes nor for
   * the queue: the sweep goes on after it, and if the object is evicted meanwhile, the alarm relays what is left.
   *
   * @returns a moment with which reads show the changes; undefined after a start.
   */
  async sweepLive(): Promise<ClockMoment | undefined> {
    await this.arm();
    return await this.#sweeper.sweepLive();
  }

  /**
   * Relays everything that was committed before the call, and advances the outbox's watermark to the call. While a long
   * outbox is relayed, the answer comes after a step, and the watermark advances later.
   *
   * @param caller the cron says so, and its newest call is remembered.
   */
  async heartbeat(caller?: 'cron'): Promise<void> {
    if (caller === 'cron') this.#cronAtMs = systemNow();
    this.ctx.waitUntil(this.#backfill.go(systemNow()));
    await this.#inStep(this.#sweeper.heartbeat());
  }

  async status(): Promise<RelayStatus> {
    const alarmAtMs = await this.ctx.storage.getAlarm();
    return {
      ...{ startedAtMs: this.#startedAtMs, cronAtMs: this.#cronAtMs, alarmAtMs, failures: this.#failures },
      backfillFailure: this.#backfill.failure ?? null,
    };
  }

  /** Builds new features from history, a bounded part of it, also those that only their shards know of. */
  async backfill(): Promise<void> {
    await this.#backfill.go(systemNow(), true);
  }

  /** As `backfill`, but the answer waits for the first step alone: from then on the database has the state of all features. */
  async startBackfill(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#backfill.wake();
    this.ctx.waitUntil(this.#backfill.go(systemNow(), true, resolve).then(resolve));
    await promise;
  }

  override async alarm(): Promise<void> {
    const armedAgain = await this.ctx.storage.delete(ARMED_AGAIN);
    try {
      const relayed = await this.#sweeper.sweep();
      this.#failures = 0;
      // An idle relay sets no alarm, so that a serverless database can go to sleep.
      if (relayed > 0 || armedAgain) await this.#setAlarm(ARMED_DELAY_MS);
    } catch (error) {
      log(
        'warn',
        'The outbox could not be relayed; the alarm retries.',
        { 'event.action': 'outbox-relay' },
        error,
      );
      this.#failures += 1;
      await this.#setAlarm(Math.min(RETRY_DELAY_MS_MAX, ARMED_DELAY_MS * 2 ** this.#failures));
    }
  }

  async #setAlarm(delayMs: number): Promise<void> {
    await this.ctx.storage.setAlarm(systemNow() + delayMs);
  }
}
