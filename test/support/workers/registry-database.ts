import { afterAll, beforeAll } from 'vitest';
import * as z from 'zod';

const Statement = z.object({ query: z.string(), params: z.array(z.unknown()) });
const Sent = z.union([z.object({ queries: z.array(Statement) }), Statement]);

/** Postgres' numbers of its types. */
const BOOLEAN = 16;
const TEXT = 25;

/** A row as Neon sends it: booleans as `t` and `f`. */
function textsOf(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? String(value).slice(0, 1) : value,
    ]),
  );
}

/** Reads of what an alias names. */
export interface CountedReads {
  aliases: number;
}

/**
 * Answers the statements that publish a version and read which one answers, as a database would, for tests that count in
 * workerd, where no database listens. Any other statement fails as it does there. `test/unit/storage/model-versions.test.ts`
 * has the statements themselves.
 */
export function answerRegistryStatements(): CountedReads {
  let others = globalThis.fetch;
  const counted: CountedReads = { aliases: 0 };
  let manifest: unknown;
  let version: unknown;
  const rowsOf = ({ query, params }: z.output<typeof Statement>): Record<string, unknown>[] | undefined => {
    if (query.includes('pg_advisory_xact_lock')) return [];
    if (query.includes('insert into "millrace"."model_versions"')) {
      [, version, manifest] = params;
      return [{ isNew: true, isRemoved: false }];
    }
    // Retention removes no artifact.
    if (query.includes('delete from "millrace"."removals"')) return [{ waiting: '0' }];
    if (query.includes('insert into "millrace"."model_aliases"'))
      return [{ outboxId: '1', revision: 1, version }];
    if (query.includes('row_number() over (partition by a.version')) {
      counted.aliases += 1;
      return [{ version, revision: 1, isRollback: false, isRetired: false, manifest }];
    }
    // Nothing else writes, so no change is pending.
    if (query.includes('relayed_seq')) return [{ relayed_seq: null, pending: null, other_epochs: null }];
    return undefined;
  };
  const answerOf = (rows: Record<string, unknown>[], isArray: boolean) => ({
    command: 'SELECT',
    rowCount: rows.length,
    fields: Object.entries(rows[0] ?? {}).map(([name, value]) => ({
      name,
      dataTypeID: typeof value === 'boolean' ? BOOLEAN : TEXT,
    })),
    rows: rows.map(textsOf).map((row) => (isArray ? Object.values(row) : row)),
    rowAsArray: isArray,
  });
  beforeAll(() => {
    // What answers the audit log, if a test has it.
    others = globalThis.fetch;
    globalThis.fetch = async (input, init) => {
      const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined;
      const sent = Sent.safeParse(body).data;
      if (sent === undefined) return await others(input, init);
      const answers = ('queries' in sent ? sent.queries : [sent]).map(rowsOf);
      if (answers.includes(undefined)) return await others(input, init);
      const isArray = new Headers(init?.headers).get('neon-array-mode') === 'true';
      const results = answers.map((rows) => answerOf(rows ?? [], isArray));
      return Response.json('queries' in sent ? { results } : results[0]);
    };
  });
  afterAll(() => {
    globalThis.fetch = others;
  });
  return counted;
}
