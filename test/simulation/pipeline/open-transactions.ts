import { sql } from 'drizzle-orm';
import type { SimulatedDatabase } from './database.ts';
import type { Machine } from './machine.ts';

/** How long a transaction stays open at most, in seconds. */
const OPEN_S_MAX = 60;

/**
 * Transactions of other applications. Each takes its number in the outbox when it opens, and its row is seen once it
 * commits: by then changes with greater numbers may have been relayed. The embedded database has one connection, so
 * an open transaction is here a number that is taken and not used yet.
 */
export class OpenTransactions {
  readonly #db: SimulatedDatabase['db'];
  readonly #machine: () => Machine;
  readonly #wake: () => void;
  #left: number;
  #open: { readonly id: number; readonly dueS: number }[] = [];

  /** @param wake stands for the heartbeat that the next reader causes: nobody announces these commits. */
  constructor(
    { db }: SimulatedDatabase,
    options: { readonly machine: () => Machine; readonly count: number; readonly wake: () => void },
  ) {
    this.#db = db;
    this.#machine = options.machine;
    this.#wake = options.wake;
    this.#left = options.count;
  }

  nextS(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#open.map(({ dueS }) => dueS));
  }

  /** What may begin by itself now. */
  begin(): { label: string; go: () => void }[] {
    const { nowS } = this.#machine();
    const due = this.#open.find(({ dueS }) => dueS <= nowS);
    return [
      ...(this.#left > 0
        ? [{ label: 'another application opens a transaction', go: () => this.#openOne() }]
        : []),
      ...(due === undefined
        ? []
        : [{ label: `another application commits the change ${due.id}`, go: () => this.#commit(due) }]),
    ];
  }

  #openOne(): void {
    const machine = this.#machine();
    this.#left -= 1;
    const dueS = machine.nowS + machine.upTo(OPEN_S_MAX);
    void machine.whileUnderWay(async () => {
      const { rows } = await this.#db.execute(sql`select nextval('millrace.outbox_id_seq') as id`);
      this.#open.push({ id: Number(rows[0]?.['id']), dueS });
    });
  }

  #commit(due: { readonly id: number }): void {
    this.#open = this.#open.filter((other) => other !== due);
    void this.#machine().whileUnderWay(async () => {
      await this.#db.execute(
        sql`insert into millrace.outbox (id, tags) values (${due.id}, array[${`product:other-${due.id}`}::text])`,
      );
      this.#wake();
    });
  }
}
