import {
  type HTTPQueryOptions,
  type HTTPTransactionOptions,
  NeonQueryPromise,
} from '@neondatabase/serverless';
import { drizzle, type NeonHttpClient, type NeonHttpDatabase } from 'drizzle-orm/neon-http';
import { type OutboxReport, parseReport, reportQuery } from './outbox-report.ts';

/** A database for the queries of one answer, which also tells how new that answer is. */
export interface Reflection {
  readonly db: NeonHttpDatabase;
  /** Accounts for every change that a query of `db` may have seen; undefined where none has been answered. */
  readonly report: () => OutboxReport | undefined;
  /** Accounts for the same, with only those pending changes that have one of `tags`. One round trip. */
  readonly reportOn: (tags: readonly string[]) => Promise<OutboxReport>;
}

/**
 * Has every query or batch followed by a report of the outbox, in the same transaction and so in the same round
 * trip. The report's snapshot is taken after the data's (READ COMMITTED, Postgres manual §13.2.1) or is the same
 * one (any stricter level). So it sees every change that the data shows, for a change commits together with its
 * outbox row: as pending, or as relayed with its `seq`.
 *
 * Results and errors are those of `client`: a statement that fails ends the transaction before its report runs.
 */
export function reflect(client: NeonHttpClient, epoch: string): Reflection {
  const reports = new Set<OutboxReport>();

  async function transaction(
    queries: NeonQueryPromise<boolean, boolean>[],
    options?: HTTPTransactionOptions<boolean, boolean>,
  ): Promise<unknown[]> {
    // What was reported before this round trip began is in its report, too. Others under way at the same time
    // each account for their own data.
    const earlier = [...reports];
    const results: unknown[] = await client.transaction([...queries, reportQuery(client, epoch)], options);
    const report = parseReport(results.pop());
    for (const superseded of earlier) reports.delete(superseded);
    reports.add(report);
    return results;
  }

  /** Runs where it is awaited; in a batch it only carries its statement to `transaction`. */
  function query(text: string, params?: unknown[], options?: HTTPQueryOptions<boolean, boolean>) {
    const single = client.query(text, params, options);
    return new NeonQueryPromise(async () => (await transaction([single]))[0], single.queryData, single.opts);
  }

  const reflecting = new Proxy(client, {
    get: (target, property) => {
      if (property === 'query') return query;
      if (property === 'transaction') return transaction;
      return Reflect.get(target, property);
    },
  });
  return {
    db: drizzle(reflecting),
    report: () => merged([...reports]),
    reportOn: async (tags) => parseReport(await reportQuery(client, epoch, tags)),
  };
}

function merged(reports: readonly OutboxReport[]): OutboxReport | undefined {
  const [first, ...others] = reports;
  if (first === undefined || others.length === 0) return first;
  const seqs = reports.flatMap(({ relayedSeq }) => relayedSeq ?? []);
  return {
    relayedSeq: seqs.length === 0 ? undefined : Math.max(...seqs),
    pending: reports.flatMap(({ pending }) => pending),
    truncated: reports.some(({ truncated }) => truncated),
  };
}
