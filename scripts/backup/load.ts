import { join } from 'node:path';
import * as z from 'zod';
import { ContinuityError } from './failure.ts';
import { rowsOf } from './files.ts';
import type { Manifest, StoreOfBackup } from './manifest.ts';
import { type BackupSql, identifier, query, type Statement } from './sql.ts';
import { arrayText, type BackupTable, REPLACED } from './tables.ts';

/** The schema that says which backup is being restored, and which rows of it are in place. It is dropped at the end. */
const SCHEMA = 'millrace_restore';
/** A transaction of a restore has at most so many rows, and about so many characters. */
const STEP_ROWS = 1_000;
const STEP_CHARACTERS = 1_000_000;

/**
 * Prepares an empty deployment for a backup, or goes on with the same one.
 *
 * @throws ContinuityError `not_empty` if a table has rows, and `restore_under_way` if another backup was begun.
 */
export async function beginLoad(
  sql: BackupSql,
  { id, sequences }: Pick<Manifest, 'id' | 'sequences'>,
  tables: readonly BackupTable[],
): Promise<void> {
  const [known] = await query(
    sql,
    `select obj_description(to_regnamespace('${SCHEMA}'), 'pg_namespace') as id,
       to_regnamespace('${SCHEMA}') is not null as is_there`,
  );
  if (known?.['is_there'] === true) {
    if (known['id'] === id) return;
    throw new ContinuityError(
      'restore_under_way',
      `A restore of the backup ${String(known['id'])} was begun here. Go on with that one, or empty the database.`,
    );
  }
  await assertEmpty(sql, tables);
  const replaced = tables.filter(({ name }) => REPLACED.includes(name));
  // Numbers that a running worker gives out from here on are above those of the backup.
  const numbers = sequences.map(({ store, column, last }) => {
    const quoted = tables.find(({ name }) => name === store)?.quoted ?? '';
    return {
      text: `select setval(pg_get_serial_sequence($1, $2), greatest($3::bigint, 1), $3::bigint > 0)`,
      params: [quoted, column, last],
    };
  });
  await sql.transaction([
    { text: `create schema ${SCHEMA}` },
    { text: `comment on schema ${SCHEMA} is '${z.uuid().parse(id)}'` },
    {
      text: `create table ${SCHEMA}.steps (store text, first bigint, rows bigint, primary key (store, first))`,
    },
    ...replaced.map(({ quoted }) => ({ text: `delete from ${quoted}` })),
    ...numbers,
  ]);
}

async function assertEmpty(sql: BackupSql, tables: readonly BackupTable[]): Promise<void> {
  const asked = tables.filter(({ name }) => !REPLACED.includes(name));
  const results = await sql.transaction(
    asked.map(({ quoted }) => ({ text: `select exists (select 1 from ${quoted}) as has_rows` })),
  );
  const full = asked.filter((_, index) => results[index]?.[0]?.['has_rows'] === true);
  if (full.length === 0) return;
  const names = full.map(({ name }) => name).join(', ');
  throw new ContinuityError(
    'not_empty',
    `A backup is restored into an empty deployment only; these tables have rows: ${names}. Nothing was changed.`,
  );
}

/**
 * Puts the rows of a store in place, a transaction for each step. A step that was done by an earlier run is left out, so a
 * restore that was broken off goes on from there.
 */
export async function loadStore(
  sql: BackupSql,
  folder: string,
  store: StoreOfBackup,
  table: BackupTable,
  onProgress: (rows: number) => void,
): Promise<void> {
  const triggers = await enabledTriggers(sql, table);
  let left = await doneRows(sql, store.name);
  let at = left;
  let step: string[] = [];
  let characters = 0;
  const flush = async () => {
    if (step.length === 0) return;
    await sql.transaction(stepStatements(table, triggers, step, at));
    at += step.length;
    [step, characters] = [[], 0];
    onProgress(at);
  };
  for await (const row of rowsOf(join(folder, store.file))) {
    if (left > 0) {
      left -= 1;
      continue;
    }
    step.push(row);
    characters += row.length;
    if (step.length >= STEP_ROWS || characters >= STEP_CHARACTERS) await flush();
  }
  await flush();
}

/**
 * Triggers do not see the rows: they would number the entries of the audit log anew, and write a change for each row of the
 * catalog. The record of the step commits with it, and refuses the same step of another process.
 */
function stepStatements(
  { name, quoted, columns }: BackupTable,
  triggers: readonly string[],
  rows: readonly string[],
  first: number,
): Statement[] {
  const names = columns.map((column) => identifier(column.name)).join(', ');
  const values = columns.map(({ type }, index) => `(row ->> ${index})::${type}`).join(', ');
  const each = (verb: string) =>
    triggers.map((trigger) => ({ text: `alter table ${quoted} ${verb} trigger ${identifier(trigger)}` }));
  return [
    {
      text: `insert into ${SCHEMA}.steps values ($1, $2, $3)`,
      params: [name, String(first), String(rows.length)],
    },
    ...each('disable'),
    {
      text: `insert into ${quoted} (${names}) overriding system value
        select ${values} from jsonb_array_elements($1::jsonb) with ordinality as e(row, at) order by at`,
      params: [`[${rows.join(',')}]`],
    },
    ...each('enable'),
  ];
}

async function enabledTriggers(sql: BackupSql, { quoted }: BackupTable): Promise<string[]> {
  const rows = await query(
    sql,
    `select tgname as name from pg_trigger where tgrelid = $1::regclass and not tgisinternal and tgenabled = 'O'`,
    [quoted],
  );
  return z
    .array(z.object({ name: z.string() }))
    .parse(rows)
    .map(({ name }) => name);
}

async function doneRows(sql: BackupSql, store: string): Promise<number> {
  const [row] = await query(
    sql,
    `select coalesce(sum(rows), 0)::text as done from ${SCHEMA}.steps where store = any($1::text[])`,
    [arrayText([store])],
  );
  return Number(row?.['done'] ?? 0);
}

/** Forgets the steps: the restore is over. */
export async function endLoad(sql: BackupSql, tables: readonly BackupTable[]): Promise<void> {
  await query(sql, `drop schema if exists ${SCHEMA} cascade`);
  // Without statistics the first reads of large tables may be planned badly.
  for (const { quoted } of tables) await query(sql, `analyze ${quoted}`);
}
