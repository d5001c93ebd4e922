import * as z from 'zod';
import type { DatasetJob, DatasetStore } from '../../src/training/datasets/build.ts';
import { Counted, NOTHING_COUNTED } from '../../src/training/datasets/counting.ts';
import { DatasetFile } from '../../src/training/datasets/manifest.ts';
import { DATASET_STATES, type DatasetReport } from '../../src/training/datasets/report.ts';
import { DatasetSpec, SplitBounds } from '../../src/training/datasets/spec.ts';
import { migrate } from '../sqlite-migrations.ts';
import { MIGRATIONS } from './migrations.ts';

const Row = z.object({
  id: z.string(),
  spec: z.string(),
  state: z.enum(DATASET_STATES),
  counted: z.string(),
  bounds: z.string().nullable(),
  quality: z.string(),
  failure: z.string().nullable(),
  begun_ms: z.number(),
  ended_ms: z.number().nullable(),
});
type Row = z.output<typeof Row>;
const COLUMNS = 'id, spec, state, counted, bounds, quality, failure, begun_ms, ended_ms';
/** What retention may delete, with the moment twice. */
const UNUSED = "state in ('ready', 'failed') and ended_ms < ? and coalesce(used_ms, 0) < ?";
const Failed = z.object({ code: z.string(), detail: z.string() });
const PartRow = z.object({ from_hash: z.number(), to_hash: z.number(), files: z.string().nullable() });
const Files = z.array(DatasetFile);

/** The datasets, and the tallies and parts of those that are being made. */
export class DatasetsStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    migrate(storage, MIGRATIONS);
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  count(): number {
    return Number(this.#sql.exec('select count(*) as n from datasets').one()['n']);
  }

  begin(id: string, spec: DatasetSpec, quality: unknown, nowMs: number): void {
    this.#sql.exec(
      'insert into datasets (id, spec, state, counted, quality, begun_ms) values (?, ?, ?, ?, ?, ?)',
      ...[id, JSON.stringify(spec), 'counting', JSON.stringify(NOTHING_COUNTED)],
      ...[JSON.stringify(quality ?? null), nowMs],
    );
  }

  report(id: string): DatasetReport | undefined {
    const row = this.#row(id);
    return row === undefined ? undefined : this.#reportOf(row);
  }

  /** The newest first. */
  reports(limit: number): DatasetReport[] {
    const found = this.#sql.exec(`select ${COLUMNS} from datasets order by begun_ms desc, id limit ?`, limit);
    return [...found].map((row) => this.#reportOf(Row.parse(row)));
  }

  /** The manifest as JSON; null while there is none. */
  manifest(id: string): string | null {
    const [row] = this.#sql.exec('select manifest from datasets where id = ?', id);
    return row === undefined ? null : z.string().nullable().parse(row['manifest']);
  }

  /** The dataset that is deleted next, else the one that is made next; undefined if there is nothing to do. */
  next(): { readonly id: string; readonly job: DatasetJob | undefined } | undefined {
    const [row] = this.#sql.exec(
      `select ${COLUMNS} from datasets where state in ('deleting', 'counting', 'building')
       order by state <> 'deleting', begun_ms, id limit 1`,
    );
    if (row === undefined) return undefined;
    const found = Row.parse(row);
    const { id, state } = found;
    if (state !== 'counting' && state !== 'building') return { id, job: undefined };
    const job = {
      ...{ id, state, spec: DatasetSpec.parse(JSON.parse(found.spec)) },
      counted: Counted.parse(JSON.parse(found.counted)),
      bounds: found.bounds === null ? null : SplitBounds.parse(JSON.parse(found.bounds)),
      quality: JSON.parse(found.quality) as unknown,
    };
    return { id, job };
  }

  /** Notes that a dataset that is there was asked for. */
  use(id: string, nowMs: number): void {
    this.#sql.exec('update datasets set used_ms = ? where id = ?', nowMs, id);
  }

  /** The datasets that are over, and were made and asked for before a moment; the oldest first. */
  unused(beforeMs: number, limit: number): DatasetReport[] {
    const found = this.#sql.exec(
      `select ${COLUMNS} from datasets where ${UNUSED} order by ended_ms, id limit ?`,
      ...[beforeMs, beforeMs, limit],
    );
    return [...found].map((row) => this.#reportOf(Row.parse(row)));
  }

  /** Begins to delete a dataset if nobody has used it meanwhile. @returns false if somebody has, or it is made again. */
  expire(id: string, beforeMs: number): boolean {
    const row = this.#row(id);
    if (row === undefined || row.state === 'deleting') return true;
    const found = this.#sql.exec(`select 1 from datasets where id = ? and ${UNUSED}`, id, beforeMs, beforeMs);
    return [...found].length > 0 && this.beginDeleting(id);
  }

  /** @returns false if there is no such dataset. */
  beginDeleting(id: string): boolean {
    if (this.#row(id) === undefined) return false;
    this.#sql.exec("update datasets set state = 'deleting', manifest = null where id = ?", id);
    return true;
  }

  fail(id: string, failure: { readonly code: string; readonly detail: string }, nowMs: number): void {
    this.#storage.transactionSync(() => {
      this.#sql.exec(
        "update datasets set state = 'failed', failure = ?, ended_ms = ? where id = ? and state <> 'deleting'",
        ...[JSON.stringify(failure), nowMs, id],
      );
      this.#forgetTallies(id);
    });
  }

  remove(id: string): void {
    this.#storage.transactionSync(() => {
      this.#forgetTallies(id);
      this.#sql.exec('delete from parts where dataset = ?', id);
      this.#sql.exec('delete from datasets where id = ?', id);
    });
  }

  /** The store of one job. */
  of(id: string, nowMs: () => number): DatasetStore {
    const sql = this.#sql;
    const atOnce = (work: () => void) => this.#storage.transactionSync(work);
    return {
      addCounted: ({ counted, keys, items }) => {
        atOnce(() => {
          sql.exec(
            `insert into keys (dataset, hash, key, touches)
             select ?, value->>'hash', value->>'key', value->>'touches' from json_each(?) where true
             on conflict (dataset, hash, key) do update set touches = touches + excluded.touches`,
            ...[id, JSON.stringify(keys)],
          );
          sql.exec(
            `insert into items (dataset, item, known_ms)
             select ?, value->>'item', value->>'knownAt' from json_each(?) where true
             on conflict (dataset, item) do update set known_ms = excluded.known_ms
             where excluded.known_ms < known_ms`,
            ...[id, JSON.stringify(items)],
          );
          sql.exec('update datasets set counted = ? where id = ?', JSON.stringify(counted), id);
        });
        return { keys: this.#countOf('keys', id), items: this.#countOf('items', id) };
      },
      keys: () => this.#keysOf(id),
      items: () => this.#itemsOf(id),
      beginBuilding: (bounds, parts) =>
        atOnce(() => {
          sql.exec(
            `insert into parts (dataset, from_hash, to_hash)
             select ?, value->>'from', value->>'to' from json_each(?)`,
            ...[id, JSON.stringify(parts)],
          );
          sql.exec('delete from keys where dataset = ?', id);
          sql.exec(
            "update datasets set state = 'building', bounds = ? where id = ? and state = 'counting'",
            ...[JSON.stringify(bounds), id],
          );
        }),
      nextPart: () => {
        const parts = this.#partsOf(id);
        const number = parts.findIndex(({ files }) => files === null);
        const part = parts[number];
        return part === undefined ? undefined : { range: part.range, number };
      },
      dividePart: ({ from }, [first, second]) =>
        atOnce(() => {
          sql.exec('update parts set to_hash = ? where dataset = ? and from_hash = ?', first.to, id, from);
          sql.exec(
            'insert into parts (dataset, from_hash, to_hash) values (?, ?, ?)',
            id,
            second.from,
            second.to,
          );
        }),
      endPart: ({ from }, files) => {
        const text = JSON.stringify(files);
        sql.exec('update parts set files = ? where dataset = ? and from_hash = ?', text, id, from);
      },
      files: () => this.#partsOf(id).flatMap(({ files }) => files ?? []),
      finish: (manifest) =>
        atOnce(() => {
          sql.exec(
            "update datasets set state = 'ready', manifest = ?, ended_ms = ? where id = ? and state = 'building'",
            ...[JSON.stringify(manifest), nowMs(), id],
          );
          this.#forgetTallies(id);
        }),
    };
  }

  #row(id: string): Row | undefined {
    const [row] = this.#sql.exec(`select ${COLUMNS} from datasets where id = ?`, id);
    return row === undefined ? undefined : Row.parse(row);
  }

  #reportOf({ id, spec, state, counted, failure, begun_ms, ended_ms }: Row): DatasetReport {
    const parts = this.#partsOf(id);
    const files = parts.flatMap((part) => part.files ?? []);
    return {
      ...{ id, spec: DatasetSpec.parse(JSON.parse(spec)), state, begunMs: begun_ms, endedMs: ended_ms },
      failure: failure === null ? null : Failed.parse(JSON.parse(failure)),
      progress: {
        labelEvents: Counted.parse(JSON.parse(counted)).events,
        parts: parts.length,
        partsMade: parts.filter((part) => part.files !== null).length,
        rows: files.reduce((sum, file) => sum + file.rows, 0),
        bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      },
    };
  }

  #partsOf(id: string) {
    const found = this.#sql.exec(
      'select from_hash, to_hash, files from parts where dataset = ? order by from_hash',
      id,
    );
    return [...found].map((row) => {
      const { from_hash: from, to_hash: to, files } = PartRow.parse(row);
      return { range: { from, to }, files: files === null ? null : Files.parse(JSON.parse(files)) };
    });
  }

  *#keysOf(id: string) {
    const found = this.#sql.exec(
      'select key, hash, touches from keys where dataset = ? order by hash, key',
      id,
    );
    for (const row of found)
      yield z.object({ key: z.string(), hash: z.number(), touches: z.number() }).parse(row);
  }

  *#itemsOf(id: string) {
    const found = this.#sql.exec('select item, known_ms from items where dataset = ?', id);
    for (const { item, known_ms } of found) yield { item: String(item), knownAt: Number(known_ms) };
  }

  #countOf(table: 'keys' | 'items', id: string): number {
    return Number(this.#sql.exec(`select count(*) as n from ${table} where dataset = ?`, id).one()['n']);
  }

  #forgetTallies(id: string): void {
    this.#sql.exec('delete from keys where dataset = ?', id);
    this.#sql.exec('delete from items where dataset = ?', id);
  }
}
