import {
  type HTTPQueryOptions,
  type HTTPTransactionOptions,
  NeonQueryPromise,
} from '@neondatabase/serverless';
import { getTableUniqueName } from 'drizzle-orm';
import { drizzle, type NeonHttpClient, type NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { epochs, outbox } from './schema.ts';

/** A database for the queries of one answer, which also reports how new that answer is. */
export interface Reflection {
  readonly db: NeonHttpDatabase;
  /** Covers every change that a query of `db` may have seen; undefined if no query has returned. */
  readonly report: () => OutboxReport | undefined;
  /** Covers the same changes, but lists only the pending ones that have one of `tags`. One round trip. */
  readonly reportOn: (tags: readonly string[]) => Promise<OutboxReport>;
}

/**
 * Appends a report of the outbox to every query or batch, in the same transaction and so in the same round trip. The
 * report's snapshot is taken after the data's (READ COMMITTED, Postgres manual §13.2.1) or is the same one (any
 * stricter level). A change commits together with its outbox row. So the report includes every change that the data
 * shows: as pending, or as relayed with its `seq`.
 *
 * Results and errors are those of `client`: a statement that fails ends the transaction before its report runs.
 */
export function reflect(client: NeonHttpClient, epoch: string): Reflection {
  const reports = new Set<OutboxReport>();

  async function transaction(
    queries: NeonQueryPromise<boolean, boolean>[],
    options?: HTTPTransactionOptions<boolean, boolean>,
  ): Promise<unknown[]> {
    // This round trip's report covers every report that was complete before it began. Concurrent round trips each cover
    // their own data.
    const earlier = [...reports];
    const results: unknown[] = await client.transaction([...queries, reportQuery(client, epoch)], options);
    const report = parseReport(results.pop());
    for (const superseded of earlier) reports.delete(superseded);
    reports.add(report);
    return results;
  }

  /** Runs when it is awaited; in a batch it only carries its statement to `transaction`. */
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
    otherEpochs: [...new Set(reports.flatMap(({ otherEpochs }) => otherEpochs))],
  };
}

/** A committed change that is not marked as relayed, with the tags that it invalidates. */
export interface PendingTags {
  readonly outboxId: number;
  readonly tags: readonly string[];
}

/** Which committed changes are invalidated already, according to the outbox. */
export interface OutboxReport {
  /** The greatest invalidation `seq` among the relayed changes of the given epoch; undefined before the first. */
  readonly relayedSeq: number | undefined;
  readonly pending: readonly PendingTags[];
  /** More changes are pending than the report lists. */
  readonly truncated: boolean;
  /** The other epochs of the tag clock in which changes were relayed. */
  readonly otherEpochs: readonly string[];
}

/**
 * The most pending changes of one report. Their tags have about 100 bytes, and every answer from the database waits for
 * them. If more are pending, the reader asks about the answer's own tags, which costs a round trip.
 */
export const REPORT_PENDING_MAX = 200;

/** The tables' names in the text of a statement. */
const OUTBOX = getTableUniqueName(outbox);
const EPOCHS = getTableUniqueName(epochs);

const Answer = z.object({
  rows: z.tuple([
    z.object({
      relayed_seq: z.coerce.number().int().nullable(),
      pending: z.array(z.tuple([z.coerce.number().int(), z.array(z.string())])).nullable(),
      other_epochs: z.array(z.string()).nullable(),
    }),
  ]),
});

/**
 * The statement of a report: one probe of `outbox_relayed`, one of `outbox_pending`, which is usually empty, and the few
 * rows of `epochs`. With `touching`, it lists only pending changes that have one of these tags.
 */
function reportQuery(client: NeonHttpClient, epoch: string, touching?: readonly string[]) {
  // A change of columns for features has no tags: no answer from the database depends on it.
  const filter = touching === undefined ? `and tags <> '{}'` : 'and tags && $3::text[]';
  const text = `
    select (select max(relayed_seq) from ${OUTBOX} where relayed_epoch = $1) as relayed_seq,
           (select json_agg(json_build_array(id, tags))
            from (select id, tags from ${OUTBOX} where relayed_at is null ${filter} order by is_bulk, id limit $2) as waiting
           ) as pending,
           (select json_agg(epoch) from ${EPOCHS} where epoch <> $1) as other_epochs`;
  const params = [epoch, REPORT_PENDING_MAX + 1, ...(touching === undefined ? [] : [touching])];
  return client.query(text, params, { arrayMode: false, fullResults: true });
}

/** Parses the result of `reportQuery`. */
function parseReport(answer: unknown): OutboxReport {
  const { relayed_seq: relayedSeq, pending, other_epochs: otherEpochs } = Answer.parse(answer).rows[0];
  const listed = (pending ?? []).map(([outboxId, tags]) => ({ outboxId, tags }));
  return {
    relayedSeq: relayedSeq ?? undefined,
    pending: listed.slice(0, REPORT_PENDING_MAX),
    truncated: listed.length > REPORT_PENDING_MAX,
    otherEpochs: otherEpochs ?? [],
  };
}
