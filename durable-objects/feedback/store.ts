import * as z from 'zod';
import type { JoinProgress, JoinStore } from '../../src/inference/feedback/join.ts';
import type { FeedbackCounts } from '../../src/inference/feedback/report.ts';
import type { NamedCount, Trial } from '../../src/inference/feedback/trials.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** The most trials that wait, of a kilobyte or two each. Further ones are counted as dropped. */
export const PENDING_MAX = 500_000;
/** Keys of one statement. */
const KEYS_OF_STATEMENT = 500;

const Progress = z.object({
  sinceMs: z.number(),
  file: z.string(),
  seq: z.number(),
  targetMs: z.number(),
  targetSeq: z.number(),
  nextMs: z.number(),
  nextSeq: z.number(),
});
const TrialState = z.object({
  model: z.string(),
  version: z.string(),
  key: z.string(),
  atMs: z.number(),
  closesMs: z.number(),
  dueMs: z.number(),
  rollout: z.object({ id: z.string(), share: z.number(), arm: z.enum(['champion', 'canary']) }).nullable(),
  isExplored: z.boolean(),
  items: z.array(z.string()).nullable(),
  answer: z.record(z.string(), z.unknown()).nullable(),
  labelledMs: z.number().nullable(),
  hits: z.array(z.number()),
});
const Row = z.object({ id: z.number(), state: z.string() });
const CountRow = z.object({ version: z.string(), name: z.string(), n: z.number() });
const PendingRow = z.object({ version: z.string(), trials: z.number(), hits: z.number() });

/** The trials that wait for their labels, and what the ended ones have come to. */
export class FeedbackStore implements JoinStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #pendingMax: number;
  /** How many trials there are; undefined until they are counted. */
  #pending: number | undefined;

  constructor(storage: DurableObjectStorage, pendingMax: number = PENDING_MAX) {
    migrate(storage, MIGRATIONS);
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#pendingMax = pendingMax;
  }

  readonly progress = (): JoinProgress | undefined => {
    const [row] = this.#sql.exec<{ state: string }>('select state from progress');
    return row === undefined ? undefined : Progress.parse(JSON.parse(row.state));
  };

  readonly save = (progress: JoinProgress): void => {
    const state = JSON.stringify(progress);
    const [row] = this.#sql.exec<{ state: string }>('select state from progress');
    if (row?.state !== state)
      this.#sql.exec('insert or replace into progress (id, state) values (1, ?)', state);
  };

  readonly addFile = (
    counts: readonly NamedCount[],
    trials: readonly Trial[],
    progress: JoinProgress,
  ): void => {
    this.#storage.transactionSync(() => {
      this.#pending ??= Number(this.#sql.exec('select count(*) as n from trials').one()['n']);
      const dropped: NamedCount[] = [];
      for (const trial of trials) {
        if (this.#isOpen(trial)) continue;
        if (this.#pending < this.#pendingMax) {
          this.#insert(trial);
          this.#pending += 1;
        } else {
          const { model, version, atMs } = trial;
          const day = new Date(atMs).toISOString().slice(0, 10);
          dropped.push({ model, version, day, name: 'dropped', n: 1 });
        }
      }
      this.#add([...counts, ...dropped]);
      this.save(progress);
    });
  };

  readonly stepBegan = (
    { id, share }: { readonly id: string; readonly share: number },
    atMs: number,
  ): number => {
    const [row] = this.#sql.exec<{ since_ms: number }>(
      'select since_ms from rollout_steps where rollout = ? and share = ?',
      ...[id, share],
    );
    if (row !== undefined && row.since_ms <= atMs) return row.since_ms;
    this.#sql.exec(
      'insert or replace into rollout_steps (rollout, share, since_ms) values (?, ?, ?)',
      ...[id, share, atMs],
    );
    return atMs;
  };

  readonly shareOf = (rollout: string): number => {
    const { share } = this.#sql
      .exec<{ share: number | null }>(
        'select max(share) as share from rollout_steps where rollout = ?',
        rollout,
      )
      .one();
    return share ?? 0;
  };

  readonly addLabels = (
    labels: readonly { readonly model: string; readonly keys: readonly string[] }[],
    labelled: (trial: Trial) => Trial,
    progress: JoinProgress,
  ): void => {
    this.#storage.transactionSync(() => {
      for (const { model, keys } of labels)
        for (let at = 0; at < keys.length; at += KEYS_OF_STATEMENT)
          this.#label(model, keys.slice(at, at + KEYS_OF_STATEMENT), labelled);
      this.save(progress);
    });
  };

  readonly end = (
    dueMs: number,
    limit: number,
    countsOf: (trials: readonly Trial[]) => readonly NamedCount[],
  ): Trial[] => {
    return this.#storage.transactionSync(() => {
      const rows = this.#rows('select id, state from trials where due_ms <= ? order by due_ms limit ?', [
        dueMs,
        limit,
      ]);
      if (rows.length === 0) return [];
      const ids = JSON.stringify(rows.map(({ id }) => id));
      this.#sql.exec('delete from trials where id in (select value from json_each(?))', ids);
      if (this.#pending !== undefined) this.#pending -= rows.length;
      const trials = rows.map(({ trial }) => trial);
      this.#add(countsOf(trials));
      return trials;
    });
  };

  /** What the answers of a model since a day, `2026-11-29`, have come to. */
  counts(model: string, day: string): FeedbackCounts {
    const counts = this.#sql.exec(
      'select version, name, sum(n) as n from counts where model = ? and day >= ? group by version, name',
      ...[model, day],
    );
    const pending = this.#sql.exec(
      `select version, count(*) as trials, coalesce(sum(has_hit), 0) as hits
       from trials where model = ? group by version`,
      model,
    );
    return {
      counts: [...counts].map((row) => CountRow.parse(row)),
      pending: [...pending].map((row) => PendingRow.parse(row)),
    };
  }

  trialsOf(models: readonly string[], key: string): number {
    const [row] = this.#sql.exec<{ n: number }>(
      `select count(*) as n from trials
       where entity_key = ? and model in (select value from json_each(?))`,
      ...[key, JSON.stringify(models)],
    );
    return row?.n ?? 0;
  }

  /** Forgets an entity: its trials are not judged. @returns how many there were. */
  forget(models: readonly string[], key: string): number {
    const { rowsWritten } = this.#sql.exec(
      'delete from trials where entity_key = ? and model in (select value from json_each(?))',
      ...[key, JSON.stringify(models)],
    );
    this.#pending = undefined;
    return rowsWritten;
  }

  /** Deletes counts of days before, and steps of rollouts that began before. */
  prune(day: string): void {
    this.#sql.exec('delete from counts where day < ?', day);
    this.#sql.exec('delete from rollout_steps where since_ms < ?', Date.parse(day));
  }

  #label(model: string, keys: readonly string[], labelled: (trial: Trial) => Trial): void {
    const rows = this.#rows(
      `select id, state from trials
       where model = ? and entity_key in (select value from json_each(?))`,
      [model, JSON.stringify(keys)],
    );
    for (const { id, trial } of rows) {
      const after = labelled(trial);
      if (after === trial) continue;
      const hasHit = after.hits.length > 0 ? 1 : 0;
      const state = JSON.stringify(after);
      this.#sql.exec('update trials set has_hit = ?, state = ? where id = ?', hasHit, state, id);
    }
  }

  #rows(
    query: string,
    bound: readonly (string | number)[],
  ): { readonly id: number; readonly trial: Trial }[] {
    return [...this.#sql.exec(query, ...bound)].map((raw) => {
      const { id, state } = Row.parse(raw);
      return { id, trial: TrialState.parse(JSON.parse(state)) };
    });
  }

  /** Whether the window of another trial of the entity, by the same version and in the same rollout, has not ended. */
  #isOpen({ model, version, key, rollout, atMs }: Trial): boolean {
    const [row] = this.#sql.exec(
      `select 1 from trials where model = ? and entity_key = ? and version = ? and rollout = ?
       and closes_ms >= ? limit 1`,
      ...[model, key, version, rollout?.id ?? '', atMs],
    );
    return row !== undefined;
  }

  #insert(trial: Trial): void {
    const { model, version, key, rollout, atMs, closesMs, dueMs } = trial;
    this.#sql.exec(
      `insert into trials (model, entity_key, version, rollout, at_ms, closes_ms, due_ms, has_hit, state)
       values (?, ?, ?, ?, ?, ?, ?, 0, ?)`,
      ...[model, key, version, rollout?.id ?? '', atMs, closesMs, dueMs, JSON.stringify(trial)],
    );
  }

  #add(counts: readonly NamedCount[]): void {
    if (counts.length === 0) return;
    this.#sql.exec(
      `insert into counts (model, day, version, name, n)
       select value->>'model', value->>'day', value->>'version', value->>'name', sum(value->>'n')
       from json_each(?) where true group by 1, 2, 3, 4
       on conflict (model, day, version, name) do update set n = n + excluded.n`,
      JSON.stringify(counts),
    );
  }
}
