import { randomUUID } from 'node:crypto';
import type { NeonQueryFunction } from '@neondatabase/serverless';
import { getTableName, sql } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { Effect } from '../../../../src/define/event.ts';
import type { StorableEvent } from '../../../../src/storage/postgres/event-store.ts';
import { recordset } from '../../../../src/storage/postgres/recordset.ts';

type Client = NeonQueryFunction<false, false>;

const SCHEMA = 'plain';
const dialect = new PgDialect();

/** Tables like those of the product, with their indexes, in a schema of their own. */
export async function preparePlainTables(client: Client, tables: readonly string[]): Promise<void> {
  await client.query(`drop schema if exists ${SCHEMA} cascade`);
  await client.query(`create schema ${SCHEMA}`);
  const ofMillrace = ['events', 'outbox'].map((table) => `millrace.${table}`);
  for (const table of [...ofMillrace, ...tables.map((name) => `public.${name}`)])
    await client.query(`create table ${SCHEMA}.${table.split('.')[1]} (like ${table} including all)`);
}

/**
 * The limit: the same rows, put into the same kind of tables over the same endpoint, one plain insert for each table
 * in one transaction. Nothing is judged, looked up, relayed or folded, and what is sent was made before.
 */
export class PlainInserts {
  readonly #client: Client;
  #seq = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  prepare(events: readonly StorableEvent[]): () => Promise<unknown> {
    const batch = randomUUID();
    const rows = events.map((event) => {
      this.#seq += 1;
      return { ...event, seq: this.#seq };
    });
    const statements = [insertEvents(rows, batch), ...insertEffects(rows), insertOutbox(rows)].map(
      (statement) => dialect.sqlToQuery(statement),
    );
    return async () =>
      await this.#client.transaction([
        this.#client.query(`set local search_path to ${SCHEMA}`),
        ...statements.map(({ sql: text, params }) => this.#client.query(text, params)),
      ]);
  }
}

type Row = StorableEvent & { readonly seq: number };

function insertEvents(rows: readonly Row[], batch: string) {
  const json = rows.map(({ effects: _, tags: __, ...row }) => row);
  return sql`
    insert into events (seq, source, id, type, subject, data, occurred_at, batch)
    select r.seq, r.source, r.id, r.type, r.subject, r.data, r.time, ${batch}::uuid
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb)
      as r(seq bigint, source text, id text, type text, subject text, data jsonb, time timestamptz)`;
}

function insertOutbox(rows: readonly Row[]) {
  const json = rows.map(({ seq, tags }) => ({ seq, tags }));
  return sql`
    insert into outbox (event_seq, tags)
    select r.seq, array(select jsonb_array_elements_text(r.tags))
    from jsonb_to_recordset(${JSON.stringify(json)}::jsonb) as r(seq bigint, tags jsonb)`;
}

function insertEffects(rows: readonly Row[]) {
  const effects = rows.flatMap((event) => event.effects.map((effect) => ({ event, effect })));
  const byTable = Map.groupBy(effects, ({ effect }) => tableOf(effect));
  return [...byTable].map(([table, ofTable]) => {
    const set = recordset(
      table,
      ofTable.map(({ event, effect }) => ({
        ...{ source: event.source, id: String(event.seq), line: 0 },
        row: 'row' in effect ? effect.row : effect.key,
      })),
    );
    const name = sql.identifier(getTableName(table));
    const [first] = ofTable;
    if (first?.effect.kind !== 'ensure')
      return sql`insert into ${name} (event_seq, ${set.columns}) select r.m_id::bigint, ${set.values} from ${set.from}`;
    // In one order, so that two transactions cannot wait for each other.
    const key = sql`r.${sql.identifier(first.effect.entity.key.columns[0]?.column.name ?? '')}`;
    return sql`
      insert into ${name} (${set.columns}) select distinct on (${key}) ${set.values} from ${set.from}
      order by ${key} on conflict do nothing`;
  });
}

function tableOf(effect: Effect) {
  return effect.kind === 'append' ? effect.history.table : effect.entity.table;
}

export function tableNames(events: readonly StorableEvent[]): string[] {
  return [
    ...new Set(events.flatMap(({ effects }) => effects.map((effect) => getTableName(tableOf(effect))))),
  ];
}
