import { DurableObject } from 'cloudflare:workers';
import type { RelayPorts } from '../../src/pipeline/relay.ts';
import { Sweeper } from '../../src/pipeline/relay.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { log } from '../../src/platform/logger.ts';

/** How soon an armed relay looks by itself: long enough for the writer to have relayed its own commit. */
const ARMED_DELAY_MS = 2_000;
const RETRY_DELAY_MS_MAX = 60_000;

export interface SweepOutcome {
  readonly relayed: number;
}

/** What the relay reaches beside its own alarm. */
export interface OutboxRelayPorts {
  /** Called for each sweep. */
  readonly relay: () => RelayPorts;
  /** Whether an error shows that a query took too long. */
  readonly isTimeout: (error: unknown) => boolean;
  /** Opens a pass of the outbox at the root clock, and returns how to close it. */
  readonly openPass: () => Promise<() => Promise<void>>;
}

/**
 * Moves the outbox of the database to the clock and the `changes` queue. Named `main`: being one object, it is
 * the one sweeper. It keeps no state but its alarm; what is pending stands in Postgres.
 */
export class OutboxRelay extends DurableObject {
  readonly #sweeper: Sweeper;
  /** Somebody wanted an alarm while one was set that may fire before their commit. */
  #armedAgain = false;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, ports: OutboxRelayPorts) {
    super(ctx, env);
    this.#sweeper = new Sweeper(ports);
  }

  /** Makes sure of a sweep soon, whatever becomes of the caller. To be called before a commit. */
  async arm(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.#setAlarm(ARMED_DELAY_MS);
    else this.#armedAgain = true;
  }

  /** Relays everything that was committed before the call. */
  async sweep(): Promise<SweepOutcome> {
    await this.arm();
    return { relayed: await this.#sweeper.sweep() };
  }

  /** Relays what was committed before the call, and moves the outbox's watermark up to it. */
  async heartbeat(): Promise<void> {
    await this.#sweeper.heartbeat();
  }

  override async alarm(): Promise<void> {
    this.#armedAgain = false;
    try {
      const relayed = await this.#sweeper.sweep();
      this.#failures = 0;
      // An idle relay sets no further alarm, so that a database which sleeps when it is idle may do so.
      if (relayed > 0 || this.#armedAgain) await this.#setAlarm(ARMED_DELAY_MS);
    } catch (error) {
      log(
        'warn',
        'The outbox could not be relayed; trying again.',
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
