import * as z from 'zod';
import {
  KEPT_VALUES,
  type Regression,
  regressionsIn,
  type Spent,
  type SpentByName,
  spentIn,
  spentSince,
  VALUE_MINUTES,
} from '../../src/operations/alerts/regressions.ts';
import type { CounterSample } from '../../src/platform/counters.ts';

const SpentRecord = z.record(z.string(), z.tuple([z.number(), z.number()]));
const Totals = z.object({ bucket: z.int(), totals: SpentRecord });

interface Kept {
  readonly bucket: number;
  readonly spent: SpentByName;
}

/** What routes, views and services have cost, a row for each quarter of an hour. It is read when it is first asked for. */
export class Spending {
  readonly #sql: SqlStorage;
  #before: { readonly bucket: number; readonly spent: SpentByName } | undefined;
  #values: Kept[] | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    const [row] = this.#sql.exec<{ value: string }>("select value from saved where name = 'spent'");
    const saved = row === undefined ? undefined : Totals.safeParse(JSON.parse(row.value)).data;
    if (saved !== undefined) this.#before = { bucket: saved.bucket, spent: mapOf(saved.totals) };
  }

  /**
   * Keeps what was spent in a quarter of an hour when the next one begins: two rows, and one that is dropped.
   *
   * @returns whether it did.
   */
  note(totals: readonly CounterSample[], minute: number): boolean {
    const bucket = Math.floor(minute / VALUE_MINUTES);
    const before = this.#before;
    if (before?.bucket === bucket) return false;
    const spent = spentIn(totals);
    if (before !== undefined) this.#put(before.bucket, spentSince(before.spent, spent));
    this.#before = { bucket, spent };
    const saved = JSON.stringify({ bucket, totals: Object.fromEntries(spent) });
    this.#sql.exec("insert or replace into saved (name, value) values ('spent', ?)", saved);
    return true;
  }

  /** @param deployMinute the minute of the newest deploy. */
  regressions(deployMinute: number | undefined): Regression[] {
    const deploy = deployMinute === undefined ? undefined : Math.floor(deployMinute / VALUE_MINUTES);
    return regressionsIn(this.#loaded(), deploy);
  }

  #put(bucket: number, spent: SpentByName): void {
    this.#sql.exec(
      'insert or replace into spent (bucket, value) values (?, ?)',
      ...[bucket, JSON.stringify(Object.fromEntries(spent))],
    );
    this.#sql.exec('delete from spent where bucket <= ?', bucket - KEPT_VALUES);
    if (this.#values === undefined) return;
    this.#values.push({ bucket, spent });
    if (this.#values.length > KEPT_VALUES) this.#values.shift();
  }

  #loaded(): Kept[] {
    this.#values ??= [
      ...this.#sql.exec<{ bucket: number; value: string }>('select bucket, value from spent order by bucket'),
    ].map(({ bucket, value }) => ({ bucket, spent: mapOf(SpentRecord.parse(JSON.parse(value))) }));
    return this.#values;
  }
}

function mapOf(spent: z.output<typeof SpentRecord>): Map<string, Spent> {
  return new Map(Object.entries(spent));
}
