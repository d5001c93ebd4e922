import { modelTag } from '../../src/inference/names.ts';
import type { ChangedEvent, PendingPage } from '../../src/storage/postgres/outbox.ts';
import type { OutboxReport } from '../../src/storage/postgres/reflecting.ts';
import type { WriteRecord } from '../support/coherence/judge.ts';
import { Machine } from './network.ts';

/** The tag and the dep of which rows there are: raised by inserts and deletes. */
export const COLLECTION = 'rows';
/** The row beside the others, which no list shows: what the alias `champion` of a model names. */
export const CHAMPION_ROW = 3;
export const MODEL = 'expected-spend';
export const rowTag = (row: number) => (row === CHAMPION_ROW ? modelTag(MODEL) : `row:${row}`);

/** An answer's value: for each dep that it shows, the version. */
export type Shown = Readonly<Record<string, number>>;

interface Row {
  version: number;
  absent: boolean;
}

interface OutboxRow {
  readonly id: number;
  readonly tags: readonly string[];
  readonly event: ChangedEvent | null;
  /** The moment of the clock at which it was invalidated, once it has been. */
  relayed: { readonly epoch: string; readonly seq: number } | undefined;
}

/** A write record while it is being made. */
export type OpenWrite = { -readonly [Field in keyof WriteRecord]: WriteRecord[Field] };

export interface Commit {
  readonly outboxId: number;
  readonly tags: readonly string[];
  readonly records: readonly OpenWrite[];
}

export type Change = { readonly row: number; readonly kind: 'update' | 'toggle' };

/** The database: rows, their collection, and the outbox, all of it committed at once. */
export class Origin extends Machine {
  readonly rows: Row[];
  collectionVersion = 0;
  readonly outbox: OutboxRow[] = [];
  readonly writes: OpenWrite[] = [];
  down = false;
  slowMs = 0;
  /** Queries fail by a fault of their own. */
  defect = false;
  /** When a query last failed because the database was down, and when by its defect. */
  lastDownMs = Number.NEGATIVE_INFINITY;
  lastDefectMs = Number.NEGATIVE_INFINITY;

  constructor(rows: number) {
    super('origin');
    this.rows = Array.from({ length: rows + 1 }, () => ({ version: 0, absent: true }));
  }

  /** One transaction. An update of what is not there is an insert. */
  commit(changes: readonly Change[], at: WriteRecord['begun']): Commit {
    const tags: string[] = [];
    const records: OpenWrite[] = [];
    const record = (dep: string, version: number, absent: boolean) =>
      records.push({ dep, version, absent, begun: at, committed: at });
    let collectionChanged = false;
    for (const { row: index, kind } of changes) {
      const row = this.rows[index];
      if (row === undefined) throw new RangeError(`There is no row ${index}.`);
      const absent = kind === 'toggle' ? !row.absent : false;
      collectionChanged ||= absent !== row.absent && index !== CHAMPION_ROW;
      row.version += 1;
      row.absent = absent;
      tags.push(rowTag(index));
      record(rowTag(index), row.version, absent);
    }
    if (collectionChanged) {
      this.collectionVersion += 1;
      tags.push(COLLECTION);
      record(COLLECTION, this.collectionVersion, false);
    }
    this.writes.push(...records);
    const outboxId = this.outbox.length + 1;
    this.outbox.push({ id: outboxId, tags, event: null, relayed: undefined });
    return { outboxId, tags, records };
  }

  /** Stores an event with its outbox row, unless it is stored already. What counts it is versioned by its folds. */
  store(event: ChangedEvent): void {
    if (this.outbox.some((row) => row.event?.seq === event.seq)) return;
    this.outbox.push({ id: this.outbox.length + 1, tags: [], event, relayed: undefined });
  }

  item(row: number): { value: Shown | null; tags: string[] } {
    const found = this.rows[row];
    const tags = [rowTag(row)];
    if (found === undefined || found.absent) return { value: null, tags };
    return { value: { [rowTag(row)]: found.version }, tags };
  }

  list(): { value: Shown; tags: string[] } {
    const present = this.rows.flatMap(({ absent, version }, row) =>
      absent || row === CHAMPION_ROW ? [] : [[rowTag(row), version] as const],
    );
    const value = { [COLLECTION]: this.collectionVersion, ...Object.fromEntries(present) };
    return { value, tags: [COLLECTION, ...present.map(([tag]) => tag)] };
  }

  pending(limit: number, upTo = Number.POSITIVE_INFINITY): PendingPage {
    const pending = this.outbox.filter(({ relayed }) => relayed === undefined);
    const wanted = pending.filter(({ id }) => id <= upTo);
    return {
      changes: wanted
        .slice(0, limit)
        .map(({ id, tags, event }) => ({ outboxId: id, lane: 'live', tags, event })),
      isFull: wanted.length > limit,
      newestId: pending.at(-1)?.id,
    };
  }

  /** What the statement of storage/postgres/reflecting.ts tells. */
  report(epoch: string): OutboxReport {
    const seqs = this.outbox.flatMap(({ relayed }) => (relayed?.epoch === epoch ? [relayed.seq] : []));
    const pending = this.outbox.flatMap(({ id, tags, relayed }) =>
      relayed === undefined ? [{ outboxId: id, tags }] : [],
    );
    const others = this.outbox
      .flatMap(({ relayed }) => relayed?.epoch ?? [])
      .filter((other) => other !== epoch);
    return {
      relayedSeq: seqs.length === 0 ? undefined : Math.max(...seqs),
      pending,
      truncated: false,
      otherEpochs: [...new Set(others)],
    };
  }

  markRelayed(ids: readonly number[], token: { epoch: string; seq: number }): void {
    for (const id of ids) {
      const row = this.outbox[id - 1];
      if (row !== undefined) row.relayed ??= token;
    }
  }
}
