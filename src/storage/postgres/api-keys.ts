import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { type KeyQuotas, SCOPES } from '../../define/principal.ts';
import { type AuditEntry, auditStatement } from './audit.ts';
import * as millrace from './schema.ts';

const Time = z.coerce.number().nullable();
const Stored = z.object({
  id: z.string(),
  seq: z.coerce.number().int(),
  name: z.string(),
  // A scope that a later version adds or removes is no reason to refuse the others.
  scopes: z.array(z.string()).transform((names) => SCOPES.filter((scope) => names.includes(scope))),
  claims: z.record(z.string(), z.string()),
  hash: z.string(),
  previousHash: z.string().nullable(),
  previousUntilMs: Time,
  createdAtMs: z.coerce.number(),
  createdBy: z.string(),
  expiresAtMs: Time,
  lastUsedAtMs: Time,
  revokedAtMs: Time,
  quotaDay: Time,
  quotaMonth: Time,
});
/** A key as it is stored. Times are in milliseconds since the Unix epoch. */
export type StoredKey = z.output<typeof Stored>;

const ms = (column: string): SQL =>
  sql.raw(`floor(extract(epoch from ${column}) * 1000) as "${camel(column)}Ms"`);
const camel = (column: string) => column.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
const COLUMNS = sql`
  id, seq, name, scopes, claims, hash, previous_hash as "previousHash", ${ms('previous_until')}, ${ms('created_at')},
  created_by as "createdBy", ${ms('expires_at')}, ${ms('last_used_at')}, ${ms('revoked_at')},
  quota_day as "quotaDay", quota_month as "quotaMonth"`;

/** What the audit log keeps of a key. */
const STATE = sql`
  jsonb_build_object('name', name, 'scopes', scopes, 'claims', claims, 'expiresAt', expires_at, 'previousUntil', previous_until,
    'revokedAt', revoked_at)`;
/** A key before its change. The lock makes it the state that the change finds, whatever else changes the key. */
const before = (id: string): SQL =>
  sql`(select id, ${STATE} as state from ${millrace.apiKeys} where id = ${id} for update) as prior`;

/** The key of this id; null if there is none. */
export async function readKey(db: NeonHttpDatabase, id: string): Promise<StoredKey | null> {
  const { rows } = await db.execute(sql`select ${COLUMNS} from ${millrace.apiKeys} where id = ${id}`);
  return rows[0] === undefined ? null : Stored.parse(rows[0]);
}

/** Keys, the newest first, also those that are revoked. */
export async function listKeys(
  db: NeonHttpDatabase,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<StoredKey[]> {
  const { rows } = await db.execute(sql`
    select ${COLUMNS} from ${millrace.apiKeys}
    where ${before === undefined ? sql`true` : sql`seq < ${before}`}
    order by seq desc limit ${limit}`);
  return z.array(Stored).parse(rows);
}

/** Records the use of a key, at most once a minute. */
export async function noteKeyUse(db: NeonHttpDatabase, id: string): Promise<void> {
  await db.execute(sql`
    update ${millrace.apiKeys} set last_used_at = now()
    where id = ${id} and (last_used_at is null or last_used_at < now() - interval '1 minute')`);
}

export interface CreatedKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, string>>;
  readonly hash: string;
  readonly expiresAtMs: number | null;
  readonly quotas: KeyQuotas;
  /** The id of the key that creates it, and the principal as the audit log names it. */
  readonly by: string;
  readonly principal: string;
}

/** The outbox row of a change, with the tags that it invalidates. */
export interface ChangedKey {
  readonly outboxId: number;
  readonly tags: readonly string[];
}

/** Stores a new key. `tag` is the key's. */
export async function createKey(db: NeonHttpDatabase, tag: string, key: CreatedKey): Promise<ChangedKey> {
  const { id, name, scopes, claims, hash, expiresAtMs, quotas, by, principal } = key;
  const { day = null, month = null } = quotas;
  const changed = await change(
    db,
    tag,
    sql`
    insert into ${millrace.apiKeys} (id, name, scopes, claims, hash, expires_at, created_by, quota_day, quota_month)
    values (${id}, ${name}, ${textArray(scopes)}, ${JSON.stringify(claims)}::jsonb, ${hash}, ${timestamp(expiresAtMs)}, ${by},
      ${day}, ${month})
    returning null::jsonb as before, ${STATE} as after`,
    { principal, action: 'key.create', target: id, detail: { name, scopes, claims, expiresAtMs, quotas } },
  );
  if (changed === null) throw new Error(`The key ${id} was inserted, but the database returned no row.`);
  return changed;
}

/** Gives a key a new secret; the one that it has stays valid until `previousUntilMs`. Null if the key has ended. */
export async function rotateKey(
  db: NeonHttpDatabase,
  tag: string,
  {
    id,
    hash,
    previousUntilMs,
    principal,
  }: {
    readonly id: string;
    readonly hash: string;
    readonly previousUntilMs: number;
    readonly principal: string;
  },
): Promise<ChangedKey | null> {
  return await change(
    db,
    tag,
    sql`
    update ${millrace.apiKeys} as k
    set hash = ${hash}, previous_hash = hash, previous_until = ${timestamp(previousUntilMs)}
    from ${before(id)}
    where k.id = prior.id and revoked_at is null and (expires_at is null or expires_at > now())
    returning prior.state as before, ${STATE} as after`,
    { principal, action: 'key.rotate', target: id, detail: { previousUntilMs } },
  );
}

/** Revokes a key. A repeated revocation keeps the time of the first, and invalidates the key again. */
export async function revokeKey(
  db: NeonHttpDatabase,
  tag: string,
  { id, principal }: { readonly id: string; readonly principal: string },
): Promise<ChangedKey | null> {
  return await change(
    db,
    tag,
    sql`
    update ${millrace.apiKeys} as k set revoked_at = coalesce(revoked_at, now())
    from ${before(id)} where k.id = prior.id
    returning prior.state as before, ${STATE} as after`,
    { principal, action: 'key.revoke', target: id, detail: {} },
  );
}

/**
 * Changes a key, and writes its outbox row and its audit entry in the same transaction: if the writer dies before it has
 * invalidated the key, the relay does.
 *
 * @param statement changes the row and returns its state `before` and `after`.
 * @returns null if the statement changed nothing.
 */
async function change(
  db: NeonHttpDatabase,
  tag: string,
  statement: SQL,
  entry: AuditEntry,
): Promise<ChangedKey | null> {
  const audited = auditStatement(entry, {
    before: sql`changed.before`,
    after: sql`changed.after`,
    from: sql`changed`,
  });
  const { rows } = await db.execute(sql`
    with changed as (${statement}), audited as (${audited})
    insert into ${millrace.outbox} (tags) select array[${tag}::text] from changed
    returning id`);
  if (rows[0] === undefined) return null;
  const { id: outboxId } = z.object({ id: z.coerce.number().int() }).parse(rows[0]);
  return { outboxId, tags: [tag] };
}

function timestamp(atMs: number | null): SQL {
  return atMs === null ? sql`null` : sql`to_timestamp(${atMs / 1000}::double precision)`;
}

function textArray(texts: readonly string[]): SQL {
  return sql`array(select jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb))`;
}
