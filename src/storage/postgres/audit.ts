import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import * as millrace from './schema.ts';

/** An action of a caller of `/v1/admin`. */
export interface AuditEntry {
  /** `key:<id>`, as in a cache key. */
  readonly principal: string;
  /** The object and the verb, e.g. `key.create`. */
  readonly action: string;
  /** The object of the action. */
  readonly target: string;
  /** What was asked for. */
  readonly detail: unknown;
}

/** What an action changed, as SQL of type `jsonb`. */
interface Change {
  readonly before: SQL;
  readonly after: SQL;
  /** A relation that has one row if the action takes place. */
  readonly from: SQL;
}

/** The entry of an action that is one transaction. Add this statement to that transaction. */
export function auditStatement({ principal, action, target, detail }: AuditEntry, change: Change): SQL {
  const { before, after, from } = change;
  return sql`insert into ${millrace.auditLog} (principal, action, target, outcome, detail, before, after)
    select ${principal}, ${action}, ${target}, 'done', ${json(detail)}, ${before}, ${after} from ${from}`;
}

const Id = z.object({ id: z.coerce.number().int() });

/** Writes the entry of an action whose effect is still to come, with what it will change. Returns the entry's id. */
export async function beginAction(
  db: NeonHttpDatabase,
  { principal, action, target, detail, before }: AuditEntry & { readonly before: unknown },
): Promise<number> {
  const { rows } = await db.execute(sql`
    insert into ${millrace.auditLog} (principal, action, target, outcome, detail, before)
    values (${principal}, ${action}, ${target}, 'begun', ${json(detail)}, ${json(before)}) returning id`);
  return Id.parse(rows[0]).id;
}

/** Writes the entry that ends an action. */
export async function endAction(
  db: NeonHttpDatabase,
  begun: number,
  outcome: 'done' | 'failed',
  after: unknown,
): Promise<void> {
  await db.execute(sql`
    insert into ${millrace.auditLog} (principal, action, target, outcome, begun, detail, after)
    select principal, action, target, ${outcome}, id, '{}'::jsonb, ${json(after)}
    from ${millrace.auditLog} where id = ${begun}`);
}

/** An action that has happened while nothing could be written here, or that must not wait for this. */
export interface PastAction extends AuditEntry {
  /** RFC 3339. */
  readonly at: string;
  /** By it, an entry that was written twice is recognised. */
  readonly record: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Writes the entry of an action of the past. Its `detail` has the moment of the action and the number of the record. */
export async function recordAction(
  db: NeonHttpDatabase,
  { at, record, before, after, detail, ...entry }: PastAction,
): Promise<void> {
  const change = { before: json(before), after: json(after), from: sql`(values (1)) as once` };
  await db.execute(auditStatement({ ...entry, detail: { asked: detail, at, record } }, change));
}

const Begun = z.object({ id: z.coerce.number().int(), principal: z.string() });

/** The entries that began this action and that no entry ends, the newest first. */
export async function openActions(
  db: NeonHttpDatabase,
  action: string,
  target: string,
): Promise<z.output<typeof Begun>[]> {
  const { rows } = await db.execute(sql`
    select id, principal from ${millrace.auditLog} as entry
    where action = ${action} and target = ${target} and outcome = 'begun' and not exists (
      select from ${millrace.auditLog} as ending where ending.action = ${action} and ending.begun = entry.id)
    order by id desc`);
  return z.array(Begun).parse(rows);
}

function json(value: unknown): SQL {
  return sql`${value === undefined || value === null ? null : JSON.stringify(value)}::jsonb`;
}

const Recorded = z.object({
  id: z.coerce.number().int(),
  at: z.string(),
  principal: z.string(),
  action: z.string(),
  target: z.string(),
  outcome: z.enum(['begun', 'done', 'failed']),
  begun: z.coerce.number().int().nullable(),
  detail: z.unknown(),
  before: z.unknown(),
  after: z.unknown(),
  hash: z.string(),
});
/** An entry as it is stored. */
export type RecordedAction = z.output<typeof Recorded>;

export interface AuditFilter {
  readonly principal?: string | undefined;
  readonly action?: string | undefined;
  /** RFC 3339; the first moment, and the first moment after the range. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Only entries whose id is less than this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Entries, the newest first. */
export async function listAudit(
  db: NeonHttpDatabase,
  { principal, action, from, to, before, limit }: AuditFilter,
): Promise<RecordedAction[]> {
  const conditions = [
    ...(principal === undefined ? [] : [sql`principal = ${principal}`]),
    ...(action === undefined ? [] : [sql`action = ${action}`]),
    ...(from === undefined ? [] : [sql`at >= ${from}::timestamptz`]),
    ...(to === undefined ? [] : [sql`at < ${to}::timestamptz`]),
    ...(before === undefined ? [] : [sql`id < ${before}`]),
  ];
  const { rows } = await db.execute(sql`
    select id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, principal, action, target, outcome,
      begun, detail, before, after, hash
    from ${millrace.auditLog}
    where ${conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `)}
    order by id desc limit ${limit}`);
  return z.array(Recorded).parse(rows);
}

const Link = z.object({
  id: z.coerce.number().int(),
  previousHash: z.string(),
  hash: z.string(),
  content: z.string(),
});
/** An entry of the chain. Its hash is SHA-256 of `previousHash` and `content`. */
export type AuditLink = z.output<typeof Link>;

/** Entries in the order of the chain, from the id `from` on. */
export async function readAuditChain(
  db: NeonHttpDatabase,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<AuditLink[]> {
  const { rows } = await db.execute(sql`
    select id, previous_hash as "previousHash", hash, millrace.audit_content(entry) as content
    from ${millrace.auditLog} as entry where id >= ${from} order by id limit ${limit}`);
  return z.array(Link).parse(rows);
}
