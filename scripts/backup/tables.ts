import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import * as z from 'zod';
import type { Catalog } from '../../src/define/catalog.ts';
import * as schema from '../../src/storage/postgres/schema.ts';
import { CATALOG_JOURNAL, MILLRACE_JOURNAL, MILLRACE_SCHEMA } from '../dev/database/journals.ts';
import { ContinuityError } from './failure.ts';
import { type BackupSql, identifier, query } from './sql.ts';

/** A table of the backup, as the database has it. */
export interface BackupTable {
  /** `schema.table`. */
  readonly name: string;
  /** The same, quoted for SQL. */
  readonly quoted: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Positions of the columns that background work may change at any time; they do not count in the digest. */
  readonly unsettled: readonly number[];
  /** A condition on the rows that are copied; empty for all. */
  readonly where: string;
}

/**
 * Tables of Millrace that a backup does not have, and what comes in their place. They are about one clock, one set of
 * objects or work that is under way, and none of these outlives a deployment.
 */
export const NOT_COPIED: Readonly<Record<string, string>> = {
  epochs: 'a restored deployment has an epoch of its own',
  feature_versions: 'the restored objects hold no features; they are built from the events',
  replays: 'they are the positions of work on features that are not there',
  storage_walk: 'the next walk counts anew',
  quality_pending: 'the counts of quality begin anew',
  lineage_tallies: 'they are of runs that have not ended',
};

/** Columns that background work of a running worker changes: they are copied, and do not count in the digest. */
const UNSETTLED: Readonly<Record<string, readonly string[]>> = {
  outbox: ['relayed_at', 'relayed_epoch', 'relayed_seq'],
  api_keys: ['last_used_at'],
  removals: ['removed_at'],
};

/** Columns that get a new value: numbers of transactions mean nothing in another database. */
const RENEWED: Readonly<Record<string, readonly string[]>> = { lineage_events: ['tx'] };

/**
 * The rows that are copied of these tables. Runs that have not ended would be ended by isolates that are gone. A running
 * worker adds rows of lineage at any time, also to a deployment that is being restored: those after the moment do not count.
 *
 * @param until the moment, as SQL.
 */
function condition(table: string, until: string): string {
  const ended = `ended_at <= ${until}`;
  const conditions: Readonly<Record<string, string>> = {
    lineage_runs: ended,
    lineage_events: `run_id in (select id from ${MILLRACE_SCHEMA}.lineage_runs where ${ended})`,
    lineage_predictions: `at <= ${until}`,
  };
  return conditions[table] ?? '';
}

/** Tables that a fresh deployment has rows in: they are replaced. */
export const REPLACED: readonly string[] = [`${MILLRACE_SCHEMA}.erasure_salt`, `${MILLRACE_SCHEMA}.pruned`];

/** The names of the tables that a backup of a deployment of this catalog has, `schema.table`. */
export function tableNames({ entities, histories }: Pick<Catalog, 'entities' | 'histories'>): string[] {
  const own = Object.values(schema)
    .filter((table) => table instanceof PgTable)
    .map((table) => getTableConfig(table).name)
    .filter((name) => !(name in NOT_COPIED))
    .map((name) => `${MILLRACE_SCHEMA}.${name}`);
  const served = [...entities, ...histories].map(({ table }) => {
    const { schema: of = 'public', name } = getTableConfig(table);
    return `${of}.${name}`;
  });
  return [...own.sort(), ...new Set(served.sort())];
}

const Column = z.object({ table: z.string(), name: z.string(), type: z.string() });

/**
 * The tables as the database has them, each after those that its foreign keys name.
 *
 * @param until the moment of the backup, as SQL; that of the transaction unless given.
 * @throws ContinuityError `not_restorable` if foreign keys name each other in a circle.
 */
export async function readTables(
  sql: BackupSql,
  names: readonly string[],
  until = 'now()',
): Promise<BackupTable[]> {
  const rows = await query(
    sql,
    `select c.oid::regclass::text as shown, n.nspname || '.' || c.relname as "table", a.attname as name,
       format_type(a.atttypid, a.atttypmod) as type
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname || '.' || c.relname = any($1::text[]) and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = '' order by c.relname, a.attnum`,
    [arrayText(names)],
  );
  const columns = z.array(Column).parse(rows);
  const missing = names.filter((name) => !columns.some((column) => column.table === name));
  if (missing.length > 0)
    throw new ContinuityError(
      'not_restorable',
      `The database has no table ${missing.join(', ')}. Run npm run db:migrate first.`,
    );
  const order = await inOrderOfKeys(sql, names);
  return order.map((name) => {
    const [of = '', table = ''] = name.split('.', 2);
    const known = <T>(by: Readonly<Record<string, T>>) => (of === MILLRACE_SCHEMA ? by[table] : undefined);
    const copied = columns.filter(
      (column) => column.table === name && !(known(RENEWED) ?? []).includes(column.name),
    );
    const left = known(UNSETTLED) ?? [];
    return {
      name,
      quoted: `${identifier(of)}.${identifier(table)}`,
      columns: copied.map((column) => ({ name: column.name, type: column.type })),
      unsettled: copied.flatMap((column, index) => (left.includes(column.name) ? [index] : [])),
      where: of === MILLRACE_SCHEMA ? condition(table, until) : '',
    };
  });
}

const Reference = z.object({ from: z.string(), to: z.string() });

async function inOrderOfKeys(sql: BackupSql, names: readonly string[]): Promise<string[]> {
  const rows = await query(
    sql,
    `select fn.nspname || '.' || f.relname as "from", tn.nspname || '.' || t.relname as "to"
     from pg_constraint k join pg_class f on f.oid = k.conrelid join pg_namespace fn on fn.oid = f.relnamespace
       join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace
     where k.contype = 'f' and k.conrelid <> k.confrelid`,
  );
  return ordered(names, z.array(Reference).parse(rows));
}

/** The names, each after those that it refers to. @throws ContinuityError `not_restorable` for a circle. */
export function ordered(
  names: readonly string[],
  references: readonly { readonly from: string; readonly to: string }[],
): string[] {
  const left = new Set(names);
  const order: string[] = [];
  while (left.size > 0) {
    const free = [...left].filter(
      (name) => !references.some(({ from, to }) => from === name && to !== name && left.has(to)),
    );
    if (free.length === 0)
      throw new ContinuityError(
        'not_restorable',
        `Foreign keys of these tables name each other in a circle: ${[...left].join(', ')}.`,
      );
    for (const name of free) left.delete(name);
    order.push(...free);
  }
  return order;
}

const Journal = z.array(z.object({ hash: z.string() }));

/** The hashes of the applied migrations, Millrace's and the catalog's. */
export async function readMigrations(sql: BackupSql): Promise<{ millrace: string[]; catalog: string[] }> {
  const hashesOf = async (journal: string): Promise<string[]> => {
    const table = `${MILLRACE_SCHEMA}.${journal}`;
    const [found] = await query(sql, `select to_regclass('${table}') is not null as found`);
    if (found?.['found'] !== true) return [];
    return Journal.parse(await query(sql, `select hash from ${table} order by created_at, id`)).map(
      ({ hash }) => hash,
    );
  };
  return { millrace: await hashesOf(MILLRACE_JOURNAL), catalog: await hashesOf(CATALOG_JOURNAL) };
}

/** An array of texts in the form of Postgres. */
export function arrayText(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
