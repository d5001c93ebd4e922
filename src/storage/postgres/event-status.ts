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
      /** The tags that the event invalidates, and when the relay invalidated them (null while pending). Null once retention
       * has deleted the outbox row. */
      readonly invalidated: {
        readonly tags: readonly string[];
        readonly at: string | null;
        readonly token: string | null;
      } | null;
    }
  | {
      readonly status: 'quarantined' | 'dead';
      readonly reason: string;
      readonly pointer: string;
      readonly detail: string;
      readonly receivedAt: string;
    };

const Timestamp = z.string().transform((text) => new Date(text).toISOString());
const Stored = z.object({
  type: z.string(),
  sent_as: z.string().nullable(),
  subject: z.string().nullable(),
  extensions: z.record(z.string(), z.unknown()).nullable(),
  occurred_at: Timestamp,
  recorded_at: Timestamp,
  tags: z.array(z.string()).nullable(),
  relayed_at: Timestamp.nullable(),
  relayed_epoch: z.string().nullable(),
  relayed_seq: z.coerce.number().int().nullable(),
});
const Kept = z.object({
  reason: z.string(),
  pointer: z.string(),
  detail: z.string(),
  received_at: Timestamp,
});

/** The status of an event by source and id; undefined if it was never received or is still in the queue. */
export async function readEventStatus(
  db: NeonHttpDatabase,
  source: string,
  id: string,
): Promise<EventStatus | undefined> {
  const [stored, kept] = await db.batch([
    db.execute(sql`
      select e.type, e.sent_as, e.subject, e.extensions, e.occurred_at, e.recorded_at,
        o.tags, o.relayed_at, o.relayed_epoch, o.relayed_seq
      from ${millrace.events} e left join ${millrace.outbox} o on o.event_seq = e.seq
      where e.source = ${source} and e.id = ${id}`),
    db.execute(sql`
      select reason, pointer, detail, received_at from ${millrace.quarantine}
      where source = ${source} and event_id = ${id} order by id desc limit 1`),
  ]);
  const [row] = stored.rows;
  if (row !== undefined) return storedStatus(Stored.parse(row));
  const [refused] = kept.rows;
  if (refused === undefined) return undefined;
  const { reason, pointer, detail, received_at: receivedAt } = Kept.parse(refused);
  return { status: reason === DEAD_LETTER ? 'dead' : 'quarantined', reason, pointer, detail, receivedAt };
}

function storedStatus(row: z.output<typeof Stored>): EventStatus {
  const { relayed_epoch: epoch, relayed_seq: seq } = row;
  return {
    status: 'stored',
    type: row.type,
    ...(row.sent_as === null ? {} : { sentAs: row.sent_as }),
    subject: row.subject,
    time: row.occurred_at,
    ...(row.extensions === null ? {} : { extensions: row.extensions }),
    recordedAt: row.recorded_at,
    invalidated:
      row.tags === null
        ? null
        : {
            tags: row.tags,
            at: row.relayed_at,
            token: epoch === null || seq === null ? null : `${epoch}.${seq}`,
          },
  };
}
