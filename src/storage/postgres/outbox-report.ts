import { getTableUniqueName } from 'drizzle-orm';
import type { NeonHttpClient } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { outbox } from './schema.ts';

/** A committed change whose relaying has not been marked yet, as the tags that it invalidates. */
export interface PendingTags {
  readonly outboxId: number;
  readonly tags: readonly string[];
}

/** How far the invalidation of what is committed has come, as the outbox tells. */
export interface OutboxReport {
  /** The `seq` of the newest invalidation of the asked epoch that a relayed change got; undefined before the first. */
  readonly relayedSeq: number | undefined;
  readonly pending: readonly PendingTags[];
  /** More is pending than is listed. */
  readonly truncated: boolean;
}

/**
 * The most pending changes of one report. Their tags have about 100 bytes, and every answer that is read from the
 * database waits for them; where more are pending, the answer's own tags are asked about, which costs a round trip.
 */
export const REPORT_PENDING_MAX = 200;

/** The table as the text of a statement names it. */
const OUTBOX = getTableUniqueName(outbox);

const Answer = z.object({
  rows: z.tuple([
    z.object({
      relayed_seq: z.coerce.number().int().nullable(),
      pending: z.array(z.tuple([z.coerce.number().int(), z.array(z.string())])).nullable(),
    }),
  ]),
});

/**
 * The statement of a report: one probe of `outbox_relayed`, and one of `outbox_pending`, which is empty most of the
 * time. With `touching`, only pending changes that have one of these tags are listed.
 */
export function reportQuery(client: NeonHttpClient, epoch: string, touching?: readonly string[]) {
  const filter = touching === undefined ? '' : 'and tags && $3::text[]';
  const text = `
    select (select max(relayed_seq) from ${OUTBOX} where relayed_epoch = $1) as relayed_seq,
           (select json_agg(json_build_array(id, tags))
            from (select id, tags from ${OUTBOX} where relayed_at is null ${filter} order by id limit $2) as waiting
           ) as pending`;
  const params = [epoch, REPORT_PENDING_MAX + 1, ...(touching === undefined ? [] : [touching])];
  return client.query(text, params, { arrayMode: false, fullResults: true });
}

/** What `reportQuery` was answered. */
export function parseReport(answer: unknown): OutboxReport {
  const { relayed_seq: relayedSeq, pending } = Answer.parse(answer).rows[0];
  const listed = (pending ?? []).map(([outboxId, tags]) => ({ outboxId, tags }));
  return {
    relayedSeq: relayedSeq ?? undefined,
    pending: listed.slice(0, REPORT_PENDING_MAX),
    truncated: listed.length > REPORT_PENDING_MAX,
  };
}
