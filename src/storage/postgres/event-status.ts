import { sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { DEAD_LETTER } from './quarantine.ts';
import * as millrace from './schema.ts';

/** The state of an event in the database. */
export type EventStatus =
  | {
      readonly status: 'stored';
      readonly type: string;
      /** The type as it was sent, if that is an earlier version. */
      readonly sentAs?: string;
      readonly subject: string | null;
      /** RFC 3339. */
      readonly time: string;
      /** `dataschema`, a `datacontenttype` other than `application/json`, and the extension attributes as they were sent. */
      readonly extensions?: Readonly<Record<string, unknown>>;
      readonly recordedAt: string;
      readonly invalidated: Invalidated;
    }
  | {
      readonly status: 'quarantined' | 'dead';
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
      readonly receivedAt: string;
    };

/**
 * The tags that an event invalidates, and when the relay invalidated all of them: null while one is pending. Null once
 * retention has deleted the event's outbox row.
 */
type Invalidated = {
  readonly tags: readonly string[];
  readonly at: string | null;
  readonly token: string | null;
} | null;

/**
 * The tags of the rows of entities that a stored event writes. One transaction folds the effects of its events on a row
 * into one change, so a status has the changes that the event's transaction made to these rows.
 */
export type RowTagsOf = (stored: {
  readonly type: string;
  readonly data: unknown;
  /** RFC 3339. */
  readonly occurredAt: string;
}) => readonly string[];

const Timestamp = z.string().transform((text) => new Date(text).toISOString());
const Relayed = z.object({
  relayed_at: Timestamp.nullable(),
  relayed_epoch: z.string().nullable(),
  relayed_seq: z.coerce.number().int().nullable(),
});
const Change = Relayed.extend({ tags: z.array(z.string()) });
type Change = z.output<typeof Change>;
const Stored = Relayed.extend({
  type: z.string(),
  sent_as: z.string().nullable(),
  subject: z.string().nullable(),
  extensions: z.record(z.string(), z.unknown()).nullable(),
  occurred_at: Timestamp,
  recorded_at: Timestamp,
  data: z.unknown(),
  batch: z.string(),
  tags: z.array(z.string()).nullable(),
});
const Kept = z.object({
  reason: z.string(),
  pointer: z.string(),
  detail: z.string(),
  received_at: Timestamp,
});

/**
 * The status of an event by source and id; undefined if it was never received or is still in the queue.
 *
 */
export async function readEventStatus(
  db: NeonHttpDatabase,
  source: string,
  id: string,
  rowTagsOf: RowTagsOf,
): Promise<EventStatus | undefined> {
  const [stored, kept] = await db.batch([
    db.execute(sql`
      select e.type, e.sent_as, e.subject, e.extensions, e.data, e.batch, e.occurred_at, e.recorded_at,
        o.tags, o.relayed_at, o.relayed_epoch, o.relayed_seq
      from ${millrace.events} e left join ${millrace.outbox} o on o.event_seq = e.seq
      where e.source = ${source} and e.id = ${id}`),
    db.execute(sql`
      select reason, pointer, detail, received_at from ${millrace.quarantine}
      where source = ${source} and event_id = ${id} order by id desc limit 1`),
  ]);
  const [row] = stored.rows;
  if (row !== undefined) {
    const event = Stored.parse(row);
    const rowTags = rowTagsOf({ type: event.type, data: event.data, occurredAt: event.occurred_at });
    return storedStatus(event, rowTags.length === 0 ? [] : await readRowChanges(db, event.batch, rowTags));
  }
  const [refused] = kept.rows;
  if (refused === undefined) return undefined;
  const { reason, pointer, detail, received_at: receivedAt } = Kept.parse(refused);
  return { status: reason === DEAD_LETTER ? 'dead' : 'quarantined', reason, pointer, detail, receivedAt };
}

/** The changes that a transaction made to rows. The first tag of a change is the row's own. */
async function readRowChanges(
  db: NeonHttpDatabase,
  batch: string,
  rowTags: readonly string[],
): Promise<Change[]> {
  const { rows } = await db.execute(sql`
    select tags, relayed_at, relayed_epoch, relayed_seq from ${millrace.outbox}
    where batch = ${batch}::uuid
      and tags[1] in (select value from jsonb_array_elements_text(${JSON.stringify(rowTags)}::jsonb))
    order by id`);
  return rows.map((row) => Change.parse(row));
}

function storedStatus(event: z.output<typeof Stored>, rowChanges: readonly Change[]): EventStatus {
  const { tags, ...relayed } = event;
  return {
    status: 'stored',
    type: event.type,
    ...(event.sent_as === null ? {} : { sentAs: event.sent_as }),
    subject: event.subject,
    time: event.occurred_at,
    ...(event.extensions === null ? {} : { extensions: event.extensions }),
    recordedAt: event.recorded_at,
    invalidated: tags === null ? null : invalidatedBy([{ ...relayed, tags }, ...rowChanges]),
  };
}

/** The tags of several changes, and the moment by which all of them were invalidated. */
function invalidatedBy(changes: readonly [Change, ...Change[]]): NonNullable<Invalidated> {
  const tags = [...new Set(changes.flatMap((change) => change.tags))];
  if (changes.some(({ relayed_at: at }) => at === null)) return { tags, at: null, token: null };
  const last = changes.reduce((one, other) => (orderOf(one) < orderOf(other) ? other : one));
  const { relayed_at: at, relayed_epoch: epoch, relayed_seq: seq } = last;
  return { tags, at, token: epoch === null || seq === null ? null : `${epoch}.${seq}` };
}

/** Moments of one epoch are ordered by their number; a later epoch was relayed later. */
function orderOf({ relayed_at: at, relayed_seq: seq }: Change): string {
  return `${at ?? ''} ${String(seq ?? 0).padStart(16, '0')}`;
}
