import type { Answer, Question } from '../../src/limits/bucket.ts';
import type { QuotaPolicy } from '../../src/limits/policy.ts';
import { periodOf, quotaAnswer } from '../../src/limits/quota.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

/** What was used of each quota in its current day or month: a row for each, which the next period replaces. */
export class QuotaStore {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#sql = storage.sql;
  }

  ask(partition: string, policy: QuotaPolicy, { spent }: Question, nowMs: number): Answer {
    const period = periodOf(policy.period, nowMs);
    const [row] = this.#sql
      .exec<{ used: number }>('select used from quotas where partition = ? and period = ?', partition, period)
      .toArray();
    const used = (row?.used ?? 0) + Math.ceil(spent);
    if (spent > 0)
      this.#sql.exec(
        'insert or replace into quotas (partition, period, used) values (?, ?, ?)',
        partition,
        period,
        used,
      );
    return quotaAnswer(policy, used, nowMs);
  }
}
