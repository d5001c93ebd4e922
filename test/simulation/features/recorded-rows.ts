import type { RecordedEvent } from '../../../src/features/point-in-time.ts';

/** A rule of recording changes of rows, or of their retention, that is left out. */
export type RowFault = 'lock' | 'table' | 'reconcile' | 'last';

type Row = Readonly<Record<string, string>> | null;

/** A transaction that writes one row. It has a number and a moment once it has locked the row. */
interface Writer {
  readonly key: string;
  readonly isDelete: boolean;
  drawn: { readonly seq: number; readonly at: number } | undefined;
}

/**
 * The rows of a table and the history of their changes, by the rules of `column-history.ts`: a writer locks its row, draws
 * the number and the moment of its change, and commits or not. The clock of the database may go back. Those who wait for
 * a lock get it in any order. Each value of a row is another one, so a reader's value says which change it is of.
 */
export class RecordedRows {
  readonly type: string;
  /** Every change that was committed, in the order of the commits. */
  readonly all: RecordedEvent[] = [];
  /** Those that retention has left. */
  readonly history: RecordedEvent[];
  readonly relayed = new Set<number>();
  readonly #fault: RowFault | undefined;
  readonly #rows = new Map<string, Row>();
  readonly #holders: Writer[] = [];
  readonly #waiting: Writer[] = [];
  #columns: readonly string[] = [];
  #seq = 0;
  #clock: number;
  /** The moment from which on the features of every row are known. */
  until: number | undefined;

  constructor(type: string, now: number, history: RecordedEvent[], fault?: RowFault) {
    this.type = type;
    this.#clock = now;
    this.history = history;
    this.#fault = fault;
  }

  /**
   * A release reads these columns from now on. What its triggers add to what is known is stored, under the lock of the
   * table, which waits for all writers.
   */
  install(columns: readonly string[]): void {
    if (this.#fault !== 'table') this.settle();
    this.#columns = columns;
    if (this.#fault === 'reconcile') return;
    for (const key of this.#rows.keys()) {
      const known = this.all.findLast((event) => keyOf(event) === key);
      const row = this.#valuesOf(key);
      if (JSON.stringify(rowOf(known)) !== JSON.stringify(row)) this.#store(key, row, this.#draw());
    }
  }

  /** A transaction begins to write a row; it waits if another one has locked it. */
  begin(key: string, isDelete: boolean): void {
    const writer: Writer = { key, isDelete, drawn: this.#fault === 'lock' ? this.#draw() : undefined };
    this.#waiting.push(writer);
    this.#grant(0);
  }

  /** One of those that have locked a row ends. Returns its change, if it commits one. */
  end(n: number, commits: boolean): RecordedEvent | undefined {
    const [writer] = this.#holders.splice(n % Math.max(1, this.#holders.length), 1);
    if (writer?.drawn === undefined) return undefined;
    const { key, isDelete, drawn } = writer;
    let stored: RecordedEvent | undefined;
    const before = this.#rows.get(key) ?? null;
    // A deletion of a row that is not there changes nothing.
    if (commits && !(isDelete && before === null)) {
      this.#rows.set(key, isDelete ? null : { country: `country ${drawn.seq}`, tier: `tier ${drawn.seq}` });
      stored = this.#store(key, this.#valuesOf(key), drawn);
    }
    this.#grant(n);
    return stored;
  }

  /** All writers end. */
  settle(): void {
    while (this.#holders.length > 0) this.end(0, true);
  }

  /** The clock goes on, or back. */
  pass(ms: number): void {
    this.#clock += ms;
  }

  /** The columns of a row that triggers record now. */
  present(key: string): Row {
    return this.#valuesOf(key);
  }

  /** Deletes changes that are covered by one from before `age` ago (`row-change-retention.ts`). */
  prune(age: number): void {
    const before = this.#clock - age;
    const isGone = (event: RecordedEvent): boolean => {
      if (event.recordedAt >= before || !this.relayed.has(event.seq)) return false;
      const next = this.history
        .filter((one) => keyOf(one) === keyOf(event) && one.seq > event.seq)
        .sort((a, b) => a.seq - b.seq)[0];
      if (this.#fault === 'last' && next === undefined) return true;
      if (next === undefined || next.recordedAt >= before || next.recordedAt < event.recordedAt) return false;
      const [row, covering] = [rowOf(event), rowOf(next)];
      if (row !== null && covering !== null && !Object.keys(row).every((name) => name in covering))
        return false;
      this.until = Math.max(this.until ?? Number.NEGATIVE_INFINITY, next.recordedAt);
      return true;
    };
    const gone = new Set(this.history.filter(isGone));
    for (let at = this.history.length - 1; at >= 0; at -= 1) {
      const event = this.history[at];
      if (event !== undefined && gone.has(event)) this.history.splice(at, 1);
    }
  }

  #grant(n: number): void {
    const isFree = ({ key }: Writer) => !this.#holders.some((holder) => holder.key === key);
    for (;;) {
      const free = this.#waiting.filter(isFree);
      const next = free[n % Math.max(1, free.length)];
      if (next === undefined) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      next.drawn ??= this.#draw();
      this.#holders.push(next);
    }
  }

  #draw(): { seq: number; at: number } {
    this.#seq += 1;
    return { seq: this.#seq, at: this.#clock };
  }

  #store(key: string, row: Row, { seq, at }: { readonly seq: number; readonly at: number }): RecordedEvent {
    const event = { seq, type: this.type, occurredAt: at, recordedAt: at, data: { key, row } };
    this.all.push(event);
    this.history.push(event);
    return event;
  }

  #valuesOf(key: string): Row {
    const row = this.#rows.get(key) ?? null;
    return row === null ? null : Object.fromEntries(this.#columns.map((name) => [name, row[name] ?? '']));
  }
}

export function keyOf({ data }: RecordedEvent): string {
  return String(Object(data)['key']);
}

export function rowOf(event: RecordedEvent | undefined): Row {
  return event === undefined ? null : (Object(event.data)['row'] as Row);
}
