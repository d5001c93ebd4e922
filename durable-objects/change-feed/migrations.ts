import * as z from 'zod';
import type { Migration } from '../sqlite-migrations.ts';

const Ids = z.array(z.int());
const KNOWN_ROW_IDS = 64_000;

export const MIGRATIONS: readonly Migration[] = [
  (sql) => {
    sql.exec('create table log_epoch (only integer primary key check (only = 1), epoch text not null)');
    // One row for each batch, because the platform charges for rows.
    sql.exec(`create table batches (
      first_seq integer primary key,
      last_seq integer not null,
      at_ms integer not null,
      -- The changes' outbox ids, by which a duplicate is recognised.
      ids text not null,
      changes text not null
    )`);
  },
  // Every question finds its rows by the key, so no row is read in vain, and no index costs a written row.
  (sql) => {
    sql.exec(`create table segments (
      first_seq integer primary key,
      last_seq integer not null,
      -- When its first and its last change were appended.
      opened_ms integer not null,
      at_ms integer not null,
      -- Bytes of all changes that were ever appended, up to the last one of this segment.
      bytes_to integer not null,
      changes text not null
    )`);
    // The outbox ids of the changes before the newest segment, in the order of the log, each as the difference to the
    // one before it.
    sql.exec(
      'create table known (first_seq integer primary key, last_seq integer not null, ids text not null)',
    );
    sql.exec(`insert into segments (first_seq, last_seq, opened_ms, at_ms, bytes_to, changes)
      select first_seq, last_seq, at_ms, at_ms, sum(octet_length(changes)) over (order by first_seq), changes
      from batches`);
    const closed = sql.exec<{ first_seq: number; ids: string }>(
      'select first_seq, ids from batches where first_seq < (select max(first_seq) from batches) order by first_seq',
    );
    const rows = closed.toArray();
    const ids = rows.flatMap((row) => Ids.parse(JSON.parse(row.ids)));
    // Numbers have no gaps, so each id has the number after the one before it.
    for (let at = 0; at < ids.length; at += KNOWN_ROW_IDS) {
      const part = ids.slice(at, at + KNOWN_ROW_IDS);
      const firstSeq = (rows[0]?.first_seq ?? 1) + at;
      const differences = part.map((id, index) => id - (part[index - 1] ?? 0));
      sql.exec(
        'insert into known (first_seq, last_seq, ids) values (?, ?, ?)',
        ...[firstSeq, firstSeq + part.length - 1, differences.join(',')],
      );
    }
    sql.exec('drop table batches');
  },
];
