import * as z from 'zod';
import {
  bucketOf,
  CountHistory,
  type Counts,
  countsText,
  oldestKept,
  parseCounts,
  WIDTHS,
  type Width,
} from '../../src/operations/alerts/history.ts';
import { Silence } from '../../src/operations/alerts/silences.ts';
import { ToldWarnings } from '../../src/operations/alerts/warnings.ts';
import { NOTHING_WATCHED, WatchState } from '../../src/operations/alerts/watch.ts';

const Row = z.object({
  width: z.union(WIDTHS.map(({ minutes }) => z.literal(minutes))),
  bucket: z.int(),
  counts: z.string(),
});

/** The most deploys that are remembered. */
const DEPLOYS_MAX = 20;
const Deploys = z.array(z.object({ id: z.string(), atMs: z.int() }));
type Deploy = z.output<typeof Deploys>[number];

/** What the evaluation keeps: a row for each bucket of counts, one row for the state, and one for each silence. */
export class WatchStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  history(): CountHistory {
    const history = new CountHistory();
    for (const row of this.#storage.sql.exec('select width, bucket, counts from buckets')) {
      const { width, bucket, counts } = Row.parse(row);
      history.restore(width, bucket, parseCounts(counts));
    }
    return history;
  }

  /** A state of another release is made anew: the history of the counts stays. */
  state(): WatchState {
    return this.#saved('state', WatchState) ?? NOTHING_WATCHED;
  }

  /** Saves an evaluation, and drops the buckets that no window needs. Five rows, and up to three dropped ones. */
  save(state: WatchState, history: CountHistory, counts: Counts): void {
    const { sql } = this.#storage;
    const hasCounts = [...counts.values()].some(({ all }) => all > 0);
    this.#storage.transactionSync(() => {
      for (const width of WIDTHS) {
        if (hasCounts) this.#saveBucket(width.minutes, state.minute, history);
        sql.exec(
          'delete from buckets where width = ? and bucket < ?',
          width.minutes,
          oldestKept(width, state.minute),
        );
      }
      sql.exec("insert or replace into saved (name, value) values ('state', ?)", JSON.stringify(state));
    });
  }

  /** A saved value; undefined for none, and for one that another release has written in another form. */
  #saved<T extends z.ZodType>(name: string, schema: T): z.output<T> | undefined {
    const [row] = this.#storage.sql.exec<{ value: string }>('select value from saved where name = ?', name);
    return row === undefined ? undefined : schema.safeParse(JSON.parse(row.value)).data;
  }

  #saveBucket(width: Width, minute: number, history: CountHistory): void {
    this.#storage.sql.exec(
      'insert or replace into buckets (width, bucket, counts) values (?, ?, ?)',
      ...[width, bucketOf(width, minute), countsText(history.bucket(width, minute))],
    );
  }

  /** The deploys that the object has noticed, the newest first. */
  deploys(): Deploy[] {
    return this.#saved('deploys', Deploys) ?? [];
  }

  /** @returns whether it is another version than before. When the first one was deployed is not known: its moment is 0. */
  noteDeploy(deploy: Deploy): boolean {
    const known = this.deploys();
    if (known[0]?.id === deploy.id) return false;
    const noted = known.length === 0 ? { ...deploy, atMs: 0 } : deploy;
    const kept = JSON.stringify([noted, ...known].slice(0, DEPLOYS_MAX));
    this.#storage.sql.exec("insert or replace into saved (name, value) values ('deploys', ?)", kept);
    return known.length > 0;
  }

  /** The warnings that people were told of. */
  toldWarnings(): ToldWarnings {
    return this.#saved('warned', ToldWarnings) ?? {};
  }

  /** A row, unless nothing has changed. */
  saveToldWarnings(before: ToldWarnings, after: ToldWarnings): void {
    const [known, text] = [JSON.stringify(before), JSON.stringify(after)];
    if (known !== text)
      this.#storage.sql.exec("insert or replace into saved (name, value) values ('warned', ?)", text);
  }

  silences(): Silence[] {
    const rows = this.#storage.sql.exec<{ value: string }>(
      'select value from silences order by ends_ms desc, id',
    );
    return [...rows].map(({ value }) => Silence.parse(JSON.parse(value)));
  }

  putSilence(silence: Silence): void {
    this.#storage.sql.exec(
      'insert or replace into silences (id, ends_ms, value) values (?, ?, ?)',
      ...[silence.id, silence.endsMs, JSON.stringify(silence)],
    );
  }

  /** Forgets silences that ended before a moment. */
  pruneSilences(beforeMs: number): void {
    this.#storage.sql.exec('delete from silences where ends_ms < ?', beforeMs);
  }
}
