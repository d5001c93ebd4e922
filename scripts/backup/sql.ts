import { neon, neonConfig } from '@neondatabase/serverless';
import * as z from 'zod';
import type { DatabaseTarget } from '../../src/storage/postgres/connect.ts';
import { withClient } from '../command-line/database-client.ts';

export interface Statement {
  readonly text: string;
  readonly params?: readonly string[];
}

export type Row = Readonly<Record<string, unknown>>;

/** A database that takes transactions of several statements. */
export interface BackupSql {
  /** Runs the statements as one transaction over one snapshot (REPEATABLE READ). @returns the rows of each. */
  transaction(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]>;
}

/** The text of a value depends on these settings; with them it is the same in every database. */
const SETTINGS = `select set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true),
  set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '1', true),
  set_config('bytea_output', 'hex', true)`;

const Rows = z.array(z.record(z.string(), z.unknown()));

/** Does some work with a database: by its HTTP endpoint if it has one, else with a session of Postgres' protocol. */
export async function withDatabase<T>(
  { url, endpoint }: DatabaseTarget,
  work: (sql: BackupSql) => Promise<T>,
): Promise<T> {
  if (endpoint !== undefined) return await work(overHttp(url, endpoint));
  return await withClient(url, async (client) => {
    const run = async ({ text, params = [] }: Statement) =>
      Rows.parse((await client.query(text, [...params])).rows);
    return await work({
      transaction: async (statements) => {
        await client.query('begin isolation level repeatable read');
        try {
          await client.query(SETTINGS);
          const results: Row[][] = [];
          for (const statement of statements) results.push(await run(statement));
          await client.query('commit');
          return results;
        } catch (error) {
          await client.query('rollback');
          throw error;
        }
      },
    });
  });
}

function overHttp(url: string, endpoint: string): BackupSql {
  const client = neon(url);
  return {
    transaction: async (statements) => {
      // The driver has one for the process.
      neonConfig.fetchEndpoint = () => endpoint;
      const queries = [{ text: SETTINGS, params: [] }, ...statements].map(({ text, params = [] }) =>
        client.query(text, [...params]),
      );
      const results: unknown[] = await client.transaction(queries, { isolationLevel: 'RepeatableRead' });
      return results.slice(1).map((rows) => Rows.parse(rows));
    },
  };
}

/** One statement. */
export async function query(sql: BackupSql, text: string, params: readonly string[] = []) {
  const [rows = []] = await sql.transaction([{ text, params }]);
  return rows;
}

/** An identifier as SQL has it. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
