import * as z from 'zod';
import { ContinuityError } from './failure.ts';
import { type BackupSql, identifier, query, type Statement } from './sql.ts';
import type { BackupTable } from './tables.ts';

/**
 * The schema of the copy that a backup is read from. One transaction copies all tables over one snapshot, so the copy is as
 * of one commit, whatever is written meanwhile. Its pages are then read at any pace, also by another process after a crash.
 */
const SCHEMA = 'millrace_backup';
/** A page has at most so many rows, and at most so many bytes unless its first row alone has more. */
const PAGE_ROWS = 2_000;
const PAGE_BYTES = 4_000_000;

/** What is known of the moment of a snapshot. */
const Point = z.object({
  taken_at: z.string(),
  event_seq: z.coerce.number().int(),
  outbox_id: z.coerce.number().int(),
  pending: z.coerce.number().int(),
});
const Sequence = z.object({ store: z.string(), column: z.string(), last: z.coerce.string() });

export interface Snapshot {
  readonly takenAt: string;
  readonly point: { readonly eventSeq: number; readonly outboxId: number; readonly pending: number };
  readonly sequences: readonly z.output<typeof Sequence>[];
}

const POINT = `select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as taken_at,
  (select coalesce(max(seq), 0) from millrace.events) as event_seq,
  (select coalesce(max(id), 0) from millrace.outbox) as outbox_id,
  (select count(*) from millrace.outbox where relayed_at is null) as pending`;

/** The id of the snapshot that the database has now; undefined if it has none. */
export async function openSnapshot(sql: BackupSql): Promise<string | undefined> {
  const [row] = await query(
    sql,
    `select obj_description(to_regnamespace('${SCHEMA}'), 'pg_namespace') as id, to_regnamespace('${SCHEMA}') is not null as is_there`,
  );
  if (row?.['is_there'] !== true) return undefined;
  return typeof row['id'] === 'string' ? row['id'] : 'unknown';
}

/**
 * Copies the tables.
 *
 * @param id of the snapshot, a UUID.
 * @throws ContinuityError `backup_under_way` if the database has a snapshot.
 */
export async function takeSnapshot(
  sql: BackupSql,
  id: string,
  tables: readonly BackupTable[],
): Promise<Snapshot> {
  const other = await openSnapshot(sql);
  if (other !== undefined)
    throw new ContinuityError(
      'backup_under_way',
      `The database has the snapshot ${other} of another backup. Go on with that in its folder, or give --discard.`,
    );
  const copies = tables.flatMap((table, index) => copyOf(table, index));
  const results = await sql.transaction([
    { text: POINT },
    { text: `create schema ${SCHEMA}` },
    { text: `comment on schema ${SCHEMA} is '${z.uuid().parse(id)}'` },
    ...copies,
    { text: sequencesOf(tables) },
  ]);
  const { taken_at: takenAt, ...at } = Point.parse(results[0]?.[0]);
  return {
    takenAt,
    point: { eventSeq: at.event_seq, outboxId: at.outbox_id, pending: at.pending },
    sequences: z.array(Sequence).parse(results.at(-1) ?? []),
  };
}

function copyOf({ quoted, columns, where }: BackupTable, index: number): Statement[] {
  const texts = columns.map(({ name }) => `${identifier(name)}::text`).join(', ');
  const copy = `${SCHEMA}.t${index}`;
  return [
    {
      text: `create unlogged table ${copy} as
        select row_number() over () as n, to_json(array[${texts}]::text[])::text as row from ${quoted}
        ${where === '' ? '' : `where ${where}`}`,
    },
    { text: `alter table ${copy} add primary key (n)` },
  ];
}

/** How far each numbered column has come. A number that was given out and not used is skipped, as without a restore. */
function sequencesOf(tables: readonly BackupTable[]): string {
  const numbered = tables.flatMap(({ name, quoted, columns }) =>
    columns.map(({ name: column }) => ({ name, quoted, column })),
  );
  const values = numbered
    .map(({ name, quoted, column }) => `(${literal(name)}, ${literal(column)}, ${literal(quoted)})`)
    .join(', ');
  return `select store, "column", last::text from (values ${values}) as c(store, "column", quoted)
    cross join lateral (select pg_get_serial_sequence(quoted, "column") as sequence) s
    cross join lateral (select coalesce(pg_sequence_last_value(sequence::regclass), 0) as last) l
    where sequence is not null`;
}

/** Reads the rows of a table of the snapshot, page by page, after the first `from` rows. */
export async function* readRows(sql: BackupSql, index: number, from = 0): AsyncGenerator<string[]> {
  const copy = `${SCHEMA}.t${index}`;
  for (let after = from; ; ) {
    const rows = await query(
      sql,
      `select row from (select n, row, sum(octet_length(row)) over (order by n) as bytes
         from (select n, row from ${copy} where n > $1::bigint order by n limit ${PAGE_ROWS}) as page) as sized
       where bytes <= ${PAGE_BYTES} or n = $1::bigint + 1 order by n`,
      [String(after)],
    );
    if (rows.length === 0) return;
    yield z
      .array(z.object({ row: z.string() }))
      .parse(rows)
      .map(({ row }) => row);
    after += rows.length;
  }
}

export async function dropSnapshot(sql: BackupSql): Promise<void> {
  await query(sql, `drop schema if exists ${SCHEMA} cascade`);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
