import * as z from 'zod';
import { retryDelayMs, TRIED_MS } from '../../src/operations/alerts/deliver.ts';
import { isFor, Notice } from '../../src/operations/alerts/notices.ts';
import type { Target, TargetStatus } from '../../src/operations/alerts/targets.ts';
import { log } from '../../src/platform/logger.ts';
import type { Random } from '../../src/platform/random.ts';

/** The most notices that wait for one target. Beyond, the oldest is dropped. */
export const WAITING_MAX = 500;
/** The most notices that one run sends to a target, so that a run ends within a minute of quick receivers. */
const SENT_MAX = 20;
/** A run begins no further call after this time, in milliseconds. */
const RUN_MS = 10_000;

const Waiting = z.object({
  number: z.int(),
  id: z.string(),
  notice: z.string(),
  attempts: z.int(),
  created_ms: z.int(),
  due_ms: z.int(),
});
const Standing = z.object({
  deliveredMs: z.int().nullable(),
  failedMs: z.int().nullable(),
  lastError: z.string().nullable(),
  dropped: z.int(),
});
type Standing = z.output<typeof Standing>;
const NEW: Standing = { deliveredMs: null, failedMs: null, lastError: null, dropped: 0 };

export interface SendPorts {
  readonly now: () => number;
  readonly random: Random;
  /** Sends a notice once. @returns null if it was taken, else the reason. Never rejects. */
  readonly send: (target: Target, id: string, notice: Notice) => Promise<string | null>;
}

/**
 * The notices that wait for their receivers, each until the receiver has taken it, or for a day. Notices of one target are
 * sent one after the other, in their order; a receiver that fails or hangs holds up no other.
 */
export class Deliveries {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** Queues a notice for each target that gets it. */
  add(targets: readonly Target[], id: string, notice: Notice, nowMs: number): string[] {
    const receivers = targets.filter((target) => isFor(target, notice)).map(({ name }) => name);
    for (const target of receivers) {
      this.#sql.exec(
        'insert into deliveries (target, id, notice, attempts, created_ms, due_ms) values (?, ?, ?, 0, ?, ?)',
        ...[target, id, JSON.stringify(notice), nowMs, nowMs],
      );
      this.#bound(target);
    }
    return receivers;
  }

  /** Sends what is due, to all targets at once. */
  async run(targets: readonly Target[], ports: SendPorts): Promise<void> {
    await Promise.all(targets.map((target) => this.#runTarget(target, ports)));
  }

  /** When the next notice is due; undefined if none waits. */
  nextMs(targets: readonly Target[]): number | undefined {
    const due = targets.flatMap(({ name }) => this.#head(name)?.due_ms ?? []);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  status(targets: readonly Target[]): TargetStatus[] {
    return targets.map(({ name, kind }) => {
      const [row] = this.#sql.exec<{ waiting: number; oldest: number | null }>(
        'select count(*) as waiting, min(created_ms) as oldest from deliveries where target = ?',
        name,
      );
      return {
        name,
        kind,
        waiting: row?.waiting ?? 0,
        oldestMs: row?.oldest ?? null,
        ...this.#standing(name),
      };
    });
  }

  /** Forgets what waits for targets that the configuration no longer has. */
  prune(targets: readonly Target[]): void {
    const names = targets.map(({ name }) => name);
    this.#sql.exec(
      'delete from deliveries where target not in (select value from json_each(?))',
      JSON.stringify(names),
    );
  }

  async #runTarget(target: Target, { now, random, send }: SendPorts): Promise<void> {
    const endMs = now() + RUN_MS;
    for (let sent = 0; sent < SENT_MAX && now() <= endMs; sent += 1) {
      const head = this.#head(target.name);
      if (head === undefined || head.due_ms > now()) return;
      const reason = await send(target, head.id, Notice.parse(JSON.parse(head.notice)));
      if (reason === null) {
        this.#remove(head.number);
        this.#put(target.name, { ...this.#standing(target.name), deliveredMs: now(), lastError: null });
        continue;
      }
      this.#failed(target.name, head, reason, now(), random);
      return;
    }
  }

  #failed(
    target: string,
    { number, attempts, created_ms: createdMs }: z.output<typeof Waiting>,
    reason: string,
    nowMs: number,
    random: Random,
  ): void {
    const standing = { ...this.#standing(target), failedMs: nowMs, lastError: reason };
    if (nowMs - createdMs < TRIED_MS) {
      const dueMs = nowMs + retryDelayMs(attempts + 1, random);
      this.#sql.exec(
        'update deliveries set attempts = attempts + 1, due_ms = ? where number = ?',
        dueMs,
        number,
      );
      this.#put(target, standing);
      return;
    }
    this.#remove(number);
    this.#drop(target, standing, 'its receiver has not taken it for a day');
  }

  /** Drops the oldest notice of a target that has too many. */
  #bound(target: string): void {
    const [row] = this.#sql.exec<{ waiting: number }>(
      'select count(*) as waiting from deliveries where target = ?',
      target,
    );
    const head = this.#head(target);
    if ((row?.waiting ?? 0) <= WAITING_MAX || head === undefined) return;
    this.#remove(head.number);
    this.#drop(target, this.#standing(target), 'too many wait');
  }

  #drop(target: string, standing: Standing, why: string): void {
    this.#put(target, { ...standing, dropped: standing.dropped + 1 });
    log('error', 'A notice was dropped.', {
      ...{ 'event.action': 'alert-delivery', 'event.reason': why, 'millrace.target': target },
    });
  }

  #head(target: string): z.output<typeof Waiting> | undefined {
    const [row] = this.#sql.exec(
      'select number, id, notice, attempts, created_ms, due_ms from deliveries where target = ? order by number limit 1',
      target,
    );
    return row === undefined ? undefined : Waiting.parse(row);
  }

  #remove(number: number): void {
    this.#sql.exec('delete from deliveries where number = ?', number);
  }

  #standing(target: string): Standing {
    const [row] = this.#sql.exec<{ value: string }>(
      'select value from saved where name = ?',
      `target:${target}`,
    );
    return row === undefined ? NEW : (Standing.safeParse(JSON.parse(row.value)).data ?? NEW);
  }

  #put(target: string, standing: Standing): void {
    this.#sql.exec(
      'insert or replace into saved (name, value) values (?, ?)',
      ...[`target:${target}`, JSON.stringify(standing)],
    );
  }
}
