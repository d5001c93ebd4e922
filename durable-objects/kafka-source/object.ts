import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { pump, type SourcePorts } from '../../src/pipeline/kafka/source.ts';
import { systemNow } from '../../src/platform/clock.ts';
import { SUBREQUESTS_MAX } from '../../src/platform/limits.ts';
import { log } from '../../src/platform/logger.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** Approximate number of subrequests of one step. */
const STEP_SUBREQUESTS = 10;
/** The most steps of one alarm: together they take at most a third of its subrequests. */
const STEPS_MAX = Math.floor((SUBREQUESTS_MAX * 0.3) / STEP_SUBREQUESTS);
/** An alarm starts no further step after this long, in milliseconds. */
const ALARM_MS = 30_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;

const Partition = z.object({ topic: z.string().min(1).max(249), partition: z.int().nonnegative() });

/** The position of a partition, for operators. */
export interface SourceStatus {
  /** Consecutive failures. Each retry waits longer than the one before. */
  readonly failures: number;
  readonly lastError: string | null;
}

/** Returns the ports of a source, or undefined if the topic is not configured as one. */
export type SourceOf = (
  at: { readonly topic: string; readonly partition: number },
  keepAlive: (work: Promise<unknown>) => void,
) => Omit<SourcePorts, 'knownTopic' | 'learnTopic'> | undefined;

/**
 * Reads one partition of a topic. Its name is `<topic>/<partition>`, so it is the only consumer of its partition. Its
 * alarm drives it. It stores which partition it reads, and the id of the topic; the position is the group's committed
 * offset.
 */
export class KafkaSource extends DurableObject {
  #failures = 0;
  #lastError: string | null = null;

  readonly #sourceOf: SourceOf;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, sourceOf: SourceOf) {
    super(ctx, env);
    this.#sourceOf = sourceOf;
    migrate(ctx.storage, MIGRATIONS);
  }

  /** Starts reading the partition, unless it is being read. Idempotent. */
  async start(topic: string, partition: number): Promise<void> {
    const at = Partition.parse({ topic, partition });
    this.ctx.storage.sql.exec(
      'insert into partition (only, topic, number) values (1, ?, ?) on conflict do nothing',
      at.topic,
      at.partition,
    );
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(systemNow());
  }

  /**
   * Sets the position of the partition. The next step commits it for the group and reads from there, so no step that is
   * running can overwrite it.
   *
   * @param offset of the record to read next.
   */
  async seek(topic: string, partition: number, offset: number): Promise<void> {
    await this.start(topic, partition);
    this.ctx.storage.sql.exec('update partition set seek = ?', offset);
    await this.ctx.storage.setAlarm(systemNow());
  }

  async status(): Promise<SourceStatus> {
    return { failures: this.#failures, lastError: this.#lastError };
  }

  override async alarm(): Promise<void> {
    const at = this.#partition();
    if (at === undefined) return;
    const ports = this.#sourceOf(at, (work) => this.ctx.waitUntil(work));
    // The topic is no longer configured as a source. `start` sets the alarm again.
    if (ports === undefined) return;
    const endsAtMs = systemNow() + ALARM_MS;
    try {
      for (let step = 0; step < STEPS_MAX && systemNow() < endsAtMs; step += 1) {
        await this.#commitSought(ports);
        await pump({ ...ports, ...this.#topic }, this.#failures);
        this.#failures = 0;
        this.#lastError = null;
      }
      await this.ctx.storage.setAlarm(systemNow());
    } catch (error) {
      this.#failures += 1;
      this.#lastError = error instanceof Error ? error.message.slice(0, 500) : String(error);
      log(
        'warn',
        'A Kafka partition could not be read; the alarm retries it.',
        {
          'event.action': 'kafka-source',
          'millrace.kafka.topic': at.topic,
          'millrace.kafka.partition': at.partition,
        },
        error,
      );
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 10));
      await this.ctx.storage.setAlarm(systemNow() + pauseMs);
    }
  }

  readonly #topic: Pick<SourcePorts, 'knownTopic' | 'learnTopic'> = {
    knownTopic: () => {
      const [row] = this.ctx.storage.sql
        .exec<{ topic_id: string | null }>('select topic_id from partition')
        .toArray();
      return row?.topic_id ?? undefined;
    },
    learnTopic: (id) => {
      this.ctx.storage.sql.exec('update partition set topic_id = ?', id);
    },
  };

  /**
   * Commits the position that `seek` has set, if there is one. The next step reads from there, whichever topic has the
   * name now, so the id of the topic is forgotten.
   */
  async #commitSought({ commit }: Pick<SourcePorts, 'commit'>): Promise<void> {
    const [row] = this.ctx.storage.sql.exec<{ seek: number | null }>('select seek from partition').toArray();
    const offset = row?.seek ?? undefined;
    if (offset === undefined) return;
    await commit(offset);
    this.ctx.storage.sql.exec('update partition set seek = null, topic_id = null where seek = ?', offset);
  }

  #partition(): { topic: string; partition: number } | undefined {
    const [row] = this.ctx.storage.sql
      .exec<{ topic: string; number: number }>('select topic, number from partition')
      .toArray();
    return row === undefined ? undefined : { topic: row.topic, partition: row.number };
  }
}
