import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { Failure } from '../../platform/failure.ts';
import { type AuditEntry, auditStatement } from './audit.ts';
import { registryRun } from './lineage-registry.ts';
import { isWithoutBytes, removedAt, SHARE_ARTIFACTS } from './removals.ts';
import * as millrace from './schema.ts';

/** When a version whose artifact is being removed may be registered again, in seconds. */
export const REMOVAL_RETRY_S = 60;
/** How far back a rollback looks. */
const HISTORY_MAX = 1_000;

const Alias = z.object({
  alias: z.string(),
  revision: z.coerce.number().int(),
  version: z.string().nullable(),
  reason: z.string(),
  changedAt: z.string(),
  changedBy: z.string(),
});
/** A change of an alias. The one with the greatest `revision` is what the alias names now. */
export type AliasChange = z.output<typeof Alias>;

const Version = z.object({
  model: z.string(),
  version: z.string(),
  manifest: z.string(),
  card: z.string(),
  measured: z.unknown(),
  registeredAt: z.string(),
  registeredBy: z.string(),
  retiredAt: z.string().nullable(),
  /** When retention removed an artifact of the version; null while it has all of them. */
  bytesRemovedAt: z.string().nullable(),
});
/** A registered version. `manifest` is JSON text. */
export type RegisteredVersion = z.output<typeof Version>;

/** A version that is registered now. */
export interface NewVersion {
  readonly model: string;
  readonly version: string;
  readonly manifest: string;
  readonly card: string;
  readonly measured: unknown;
}

/** What an alias has to name from now on. */
export interface AliasTarget {
  readonly model: string;
  readonly alias: string;
  /** Null for no version. */
  readonly version: string | null;
  /** What the alias has to name until now: a version, null for none, or undefined for any. */
  readonly expected: string | null | undefined;
  readonly reason: 'publish' | 'promote' | 'rollback' | 'set' | 'clear';
}

/** Who changes something, and the tags that the change invalidates. */
export interface Changing {
  readonly principal: string;
  readonly tags: readonly string[];
}

/** The outbox row of a change, and the alias's new state. */
export interface ChangedAlias {
  readonly outboxId: number;
  readonly tags: readonly string[];
  readonly revision: number;
  readonly version: string | null;
}

const rfc3339 = (column: string): SQL =>
  sql.raw(`to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);
const ALIAS_COLUMNS = sql`alias, revision, version, reason, ${rfc3339('changed_at')} as "changedAt", changed_by as "changedBy"`;
const VERSION_COLUMNS = sql`
  model, version, manifest, card, measured, ${rfc3339('registered_at')} as "registeredAt", registered_by as "registeredBy",
  ${rfc3339('retired_at')} as "retiredAt",
  to_char(${removedAt(sql`manifest`)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "bytesRemovedAt"`;

/**
 * Changes of one model happen one after the other: a change that waits here sees what the one before it has written,
 * because each statement of the transaction has a snapshot of its own.
 */
export function lockOf(model: string): SQL {
  return sql`select pg_advisory_xact_lock(hashtextextended(${`millrace.model:${model}`}, 0))`;
}

/** Registers a version, with its lineage run. A version that is there stays as it is. @returns whether it is new. */
export async function registerVersion(
  db: NeonHttpDatabase,
  registered: NewVersion,
  principal: string,
): Promise<boolean> {
  const { model, version } = registered;
  const entry = { principal, action: 'model.register', target: `${model}/${version}`, detail: {} };
  const audited = auditStatement(entry, {
    before: sql`null::jsonb`,
    after: sql`to_jsonb(registered)`,
    from: sql`registered`,
  });
  const [, { rows }] = await db.batch([
    db.execute(SHARE_ARTIFACTS),
    db.execute(sql`
      with registered as (${insertVersion(registered, principal)}), audited as (${audited}), ${registryRun({
        ...{ model, action: 'register', version: sql`registered.version`, from: sql`registered` },
        facts: sql`jsonb_build_object('by', ${principal}::text)`,
      })}
      select exists (select from registered) as "isNew", ${isWithoutBytes(sql`${registered.manifest}`)} as "isRemoved"`),
  ]);
  return wasInserted(rows);
}

/** The statement that registers a version, unless retention removes an artifact of it. `SHARE_ARTIFACTS` comes before it. */
function insertVersion({ model, version, manifest, card, measured }: NewVersion, by: string): SQL {
  return sql`
    insert into ${millrace.modelVersions} (model, version, manifest, card, measured, registered_by)
    select ${model}, ${version}, ${manifest}, ${card}, ${JSON.stringify(measured)}::jsonb, ${by}
    where not ${isWithoutBytes(sql`${manifest}`)}
    on conflict do nothing returning model, version, measured`;
}

/** @throws Failure `model_unavailable` if retention has removed an artifact since the version was checked. */
function wasInserted(rows: readonly unknown[]): boolean {
  const { isNew, isRemoved } = z.object({ isNew: z.boolean(), isRemoved: z.boolean() }).parse(rows[0]);
  if (!isRemoved) return isNew;
  const detail =
    'Retention has removed an artifact of the version meanwhile. Upload it, and register it again.';
  throw new Failure('model_unavailable', detail, { retryAfterS: REMOVAL_RETRY_S });
}

/**
 * Lets an alias name another version, with its outbox row, its audit entry and its lineage run in the same transaction.
 *
 * @param registered is registered first if it is not there.
 * @returns null if the alias names something else than was expected, or there is no such version to be named.
 */
export async function changeAlias(
  db: NeonHttpDatabase,
  target: AliasTarget,
  changing: Changing,
  registered?: NewVersion,
): Promise<ChangedAlias | null> {
  const change = db.execute(aliasChange(target, changing));
  const lock = db.execute(lockOf(target.model));
  const results =
    registered === undefined
      ? await db.batch([lock, change])
      : await db.batch([
          lock,
          db.execute(SHARE_ARTIFACTS),
          db.execute(sql`
            with registered as (${insertVersion(registered, changing.principal)})
            select exists (select from registered) as "isNew", ${isWithoutBytes(sql`${registered.manifest}`)} as "isRemoved"`),
          change,
        ]);
  if (registered !== undefined) wasInserted(results.at(-2)?.rows ?? []);
  return changedAlias(results.at(-1)?.rows ?? [], changing.tags);
}

/** What the statement of `aliasChange` returned; null if it changed nothing. */
export function changedAlias(
  rows: readonly Record<string, unknown>[],
  tags: readonly string[],
): ChangedAlias | null {
  const [row] = rows;
  if (row === undefined) return null;
  const Changed = z.object({
    outboxId: z.coerce.number().int(),
    revision: z.coerce.number().int(),
    version: z.string().nullable(),
  });
  return { ...Changed.parse(row), tags };
}

/**
 * The statement that changes an alias. `lockOf` comes before it in its transaction.
 *
 * @param condition has to hold as well, of type `boolean`.
 */
export function aliasChange(
  { model, alias, version, expected, reason }: AliasTarget,
  { principal, tags }: Changing,
  condition: SQL = sql`true`,
): SQL {
  const entry: AuditEntry = {
    principal,
    action: `model.${reason}`,
    target: model,
    detail: { alias, version, ...(expected === undefined ? {} : { expected }) },
  };
  const audited = auditStatement(entry, {
    before: sql`jsonb_build_object('version', (select version from prior))`,
    after: sql`jsonb_build_object('version', changed.version, 'revision', changed.revision)`,
    from: sql`changed`,
  });
  const isExpected =
    expected === undefined ? sql`true` : sql`(select version from prior) is not distinct from ${expected}`;
  const isThere = version === null ? sql`true` : isUsable(model, version);
  return sql`
    with prior as (
      select version, revision from ${millrace.modelAliases}
      where model = ${model} and alias = ${alias} order by revision desc limit 1
    ), changed as (
      insert into ${millrace.modelAliases} (model, alias, revision, version, reason, changed_by)
      select ${model}, ${alias}, coalesce((select revision from prior), 0) + 1, ${version}, ${reason}, ${principal}
      where ${isExpected} and ${isThere} and ${condition}
      returning revision, version
    ), audited as (${audited}), noted as (
      insert into ${millrace.outbox} (tags) select array(select jsonb_array_elements_text(${JSON.stringify(tags)}::jsonb))
      from changed returning id
    ), ${registryRun({
      ...{ model, action: reason, version: sql`changed.version`, from: sql`changed` },
      facts: sql`jsonb_build_object('alias', ${alias}::text, 'revision', changed.revision,
        'before', (select version from prior), 'by', ${principal}::text)`,
    })}
    select noted.id as "outboxId", changed.revision, changed.version from noted, changed`;
}

/** Whether a version is registered and not withdrawn, as SQL. */
export function isUsable(model: string, version: string): SQL {
  return sql`exists (select from ${millrace.modelVersions}
    where model = ${model} and version = ${version} and retired_at is null)`;
}

/**
 * Withdraws a version, with its audit entry and its lineage run. A version that an alias names is not withdrawn, and one
 * that is withdrawn already has its run.
 *
 * @returns whether it is withdrawn, now or earlier.
 */
export async function retireVersion(
  db: NeonHttpDatabase,
  { model, version }: { readonly model: string; readonly version: string },
  principal: string,
): Promise<boolean> {
  const entry = { principal, action: 'model.retire', target: `${model}/${version}`, detail: {} };
  const audited = auditStatement(entry, {
    before: sql`null::jsonb`,
    after: sql`jsonb_build_object('retiredAt', retired.retired_at)`,
    from: sql`retired`,
  });
  const [, { rows }] = await db.batch([
    db.execute(lockOf(model)),
    db.execute(sql`
      with named as (
        select distinct on (alias) version from ${millrace.modelAliases}
        where model = ${model} order by alias, revision desc
      ), retired as (
        update ${millrace.modelVersions} set retired_at = coalesce(retired_at, now())
        where model = ${model} and version = ${version} and version not in (select version from named where version is not null)
        returning retired_at
      ), audited as (${audited}), ${registryRun({
        ...{ model, action: 'retire', version: sql`${version}::text` },
        facts: sql`jsonb_build_object('by', ${principal}::text)`,
        from: sql`retired where retired_at = now()`,
      })}
      select retired_at from retired`),
  ]);
  return rows.length > 0;
}

/** How many changes of an alias are looked through for the version before the present one. */
const RECENT_CHANGES = 20;

const Change = z.object({
  version: z.string().nullable(),
  isRollback: z.boolean(),
  isRetired: z.boolean(),
  manifest: z.string().nullable(),
  revision: z.coerce.number().int(),
});

/** What an alias names. */
export interface Aliased {
  /** As JSON text; null if the alias was cleared. */
  readonly manifest: string | null;
  readonly revision: number;
  /** The last 20 changes with this one, the oldest first. Only the newest change to a version has its manifest. */
  readonly changes: readonly z.output<typeof Change>[];
}

/** What an alias names, and what it named before; undefined if it has never named a version. */
export async function readAliased(
  db: NeonHttpDatabase,
  model: string,
  alias: string,
): Promise<Aliased | undefined> {
  const { rows } = await db.execute(sql`
    select a.version, a.revision, a.reason = 'rollback' as "isRollback", v.retired_at is not null as "isRetired",
      case when row_number() over (partition by a.version order by a.revision desc) = 1 then v.manifest end as manifest
    from (select version, revision, reason from ${millrace.modelAliases}
      where model = ${model} and alias = ${alias} order by revision desc limit ${RECENT_CHANGES}) a
    left join ${millrace.modelVersions} v on v.model = ${model} and v.version = a.version
    order by a.revision`);
  const changes = z.array(Change).parse(rows);
  const now = changes.at(-1);
  return now === undefined ? undefined : { manifest: now.manifest, revision: now.revision, changes };
}

/** The changes of a model's aliases, the newest first. */
export async function listAliasChanges(
  db: NeonHttpDatabase,
  model: string,
  limit: number,
): Promise<AliasChange[]> {
  const { rows } = await db.execute(sql`
    select ${ALIAS_COLUMNS} from ${millrace.modelAliases} where model = ${model}
    order by changed_at desc, revision desc limit ${limit}`);
  return z.array(Alias).parse(rows);
}

const NamedVersion = Alias.extend({ model: z.string(), segments: z.unknown() });
/** What an alias of a model names, and the `segments` of that version's manifest; null if it has none. */
export type NamedVersion = z.output<typeof NamedVersion>;

/** What the aliases of all models name. */
export async function listAliases(db: NeonHttpDatabase): Promise<NamedVersion[]> {
  const { rows } = await db.execute(sql`
    select named.*, v.manifest::jsonb -> 'segments' as segments
    from (select distinct on (model, alias) model, ${ALIAS_COLUMNS} from ${millrace.modelAliases}
      order by model, alias, revision desc) named
    left join ${millrace.modelVersions} v on v.model = named.model and v.version = named.version
    order by named.model, named.alias`);
  return z.array(NamedVersion).parse(rows);
}

/** The versions of a model, the newest first. */
export async function listVersions(
  db: NeonHttpDatabase,
  model: string,
  limit: number,
): Promise<RegisteredVersion[]> {
  const { rows } = await db.execute(sql`
    select ${VERSION_COLUMNS} from ${millrace.modelVersions} where model = ${model}
    order by registered_at desc, version limit ${limit}`);
  return z.array(Version).parse(rows);
}

/** A version of a model; undefined if it is not registered. */
export async function readVersion(
  db: NeonHttpDatabase,
  model: string,
  version: string,
): Promise<RegisteredVersion | undefined> {
  const { rows } = await db.execute(sql`
    select ${VERSION_COLUMNS} from ${millrace.modelVersions} where model = ${model} and version = ${version}`);
  return rows[0] === undefined ? undefined : Version.parse(rows[0]);
}

const Named = z.object({ version: z.string().nullable(), isRollback: z.boolean(), isRetired: z.boolean() });

/** The last thousand changes of an alias, the oldest first. */
export async function readAliasHistory(
  db: NeonHttpDatabase,
  model: string,
  alias: string,
): Promise<z.output<typeof Named>[]> {
  const { rows } = await db.execute(sql`
    select a.version, a.reason = 'rollback' as "isRollback", v.retired_at is not null as "isRetired"
    from ${millrace.modelAliases} a left join ${millrace.modelVersions} v on v.model = a.model and v.version = a.version
    where a.model = ${model} and a.alias = ${alias} order by a.revision desc limit ${HISTORY_MAX}`);
  return z.array(Named).parse(rows).toReversed();
}
