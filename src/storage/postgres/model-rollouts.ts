import { type SQL, sql } from 'drizzle-orm';
import type { NeonHttpDatabase } from 'drizzle-orm/neon-http';
import * as z from 'zod';
import { auditStatement } from './audit.ts';
import { registryRun } from './lineage-registry.ts';
import { aliasChange, type Changing, changedAlias, isUsable, lockOf } from './model-versions.ts';
import * as millrace from './schema.ts';

const Row = z.object({
  id: z.coerce.number().int(),
  model: z.string(),
  rollout: z.string(),
  stage: z.string(),
  step: z.coerce.number().int(),
  share: z.coerce.number(),
  version: z.string(),
  base: z.string(),
  reason: z.string(),
  evidence: z.unknown(),
  changedAt: z.string(),
  changedBy: z.string(),
});
/** A step of a rollout, as its table has it. The newest of a model is where its rollout is. */
export type RolloutRow = z.output<typeof Row>;

/** A step that a rollout takes now. */
export interface RolloutMove extends Omit<RolloutRow, 'id' | 'changedAt' | 'changedBy'> {
  /** The id of the model's newest row until now; null if there is none. */
  readonly after: number | null;
  /** Whether the version becomes champion with it. */
  readonly isPromoted: boolean;
  /** Whether the champion has to be `base` until now. The end of a rollout needs no champion. */
  readonly needsBase: boolean;
}

/** The outbox row of a move, and the id of its own. */
export interface MovedRollout {
  readonly id: number;
  readonly outboxId: number;
  readonly tags: readonly string[];
}

const COLUMNS = sql`r.id, r.model, r.rollout, r.stage, r.step, r.share, r.version, r.base, r.reason,
  to_char(r.changed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "changedAt", r.changed_by as "changedBy"`;

/** The newest row of a model; undefined if it has never had a rollout. */
export async function readRollout(db: NeonHttpDatabase, model: string): Promise<RolloutRow | undefined> {
  const [row] = await listRollouts(db, model, 1);
  return row;
}

/** The rows of a model, the newest first. */
export async function listRollouts(
  db: NeonHttpDatabase,
  model: string,
  limit: number,
): Promise<RolloutRow[]> {
  const { rows } = await db.execute(sql`
    select ${COLUMNS}, r.evidence from ${millrace.modelRollouts} r
    where r.model = ${model} order by r.id desc limit ${limit}`);
  return z.array(Row).parse(rows);
}

const Served = z.object({
  rollout: z.string(),
  stage: z.string(),
  share: z.coerce.number(),
  base: z.string(),
  manifest: z.string(),
});

/** The rollout of a model that may be under way, with the manifest of its version as JSON text. */
export async function readServedRollout(
  db: NeonHttpDatabase,
  model: string,
): Promise<z.output<typeof Served> | undefined> {
  const { rows } = await db.execute(sql`
    select newest.rollout, newest.stage, newest.share, newest.base, v.manifest
    from (select * from ${millrace.modelRollouts} where model = ${model} order by id desc limit 1) newest
    join ${millrace.modelVersions} v on v.model = newest.model and v.version = newest.version
    where newest.stage in ('shadow', 'canary', 'waiting') and v.retired_at is null`);
  return rows[0] === undefined ? undefined : Served.parse(rows[0]);
}

/** Whether a version has had a rollout against a champion. */
export async function wasRolledOut(
  db: NeonHttpDatabase,
  { model, version, base }: Pick<RolloutRow, 'model' | 'version' | 'base'>,
): Promise<boolean> {
  const { rows } = await db.execute(sql`
    select 1 from ${millrace.modelRollouts}
    where model = ${model} and version = ${version} and base = ${base} limit 1`);
  return rows.length > 0;
}

/**
 * Takes a step, with its outbox row, its audit entry and its lineage run in the same transaction, and with the change of
 * the champion if it is the last one.
 *
 * @returns null if the rollout is elsewhere than expected, the champion is another one, or the version was withdrawn.
 */
export async function moveRollout(
  db: NeonHttpDatabase,
  move: RolloutMove,
  changing: Changing,
): Promise<MovedRollout | null> {
  const { model, version, base, isPromoted } = move;
  const lock = db.execute(lockOf(model));
  const step = db.execute(stepOf(move, changing));
  const Moved = z.object({ id: z.coerce.number().int(), outboxId: z.coerce.number().int() });
  if (!isPromoted) {
    const [, { rows }] = await db.batch([lock, step]);
    return rows[0] === undefined ? null : { ...Moved.parse(rows[0]), tags: changing.tags };
  }
  const isMoved = sql`(select r.rollout = ${move.rollout}::uuid and r.stage = 'champion'
    from ${millrace.modelRollouts} r where r.model = ${model} order by r.id desc limit 1)`;
  const target = { model, alias: 'champion', version, expected: base, reason: 'promote' } as const;
  const [, { rows }, promoted] = await db.batch([
    lock,
    step,
    db.execute(aliasChange(target, changing, isMoved)),
  ]);
  const changed = changedAlias(promoted.rows, changing.tags);
  if (rows[0] === undefined || changed === null) return null;
  return { id: Moved.parse(rows[0]).id, outboxId: changed.outboxId, tags: changing.tags };
}

function stepOf(move: RolloutMove, { principal, tags }: Changing): SQL {
  const { model, rollout, stage, step, share, version, base, reason, evidence, after, needsBase } = move;
  const detail = { rollout, stage, share, version, base, reason };
  const audited = auditStatement(
    { principal, action: 'model.rollout', target: model, detail },
    {
      before: sql`jsonb_build_object('stage', (select stage from prior), 'share', (select share from prior))`,
      after: sql`jsonb_build_object('stage', ${stage}::text, 'share', ${share}::double precision)`,
      from: sql`moved`,
    },
  );
  const isBase = sql`(select version from ${millrace.modelAliases}
    where model = ${model} and alias = 'champion' order by revision desc limit 1) = ${base}`;
  const holds = needsBase ? sql`${isBase} and ${isUsable(model, version)}` : sql`true`;
  return sql`
    with prior as (
      select id, stage, share from ${millrace.modelRollouts} where model = ${model} order by id desc limit 1
    ), moved as (
      insert into ${millrace.modelRollouts}
        (model, rollout, stage, step, share, version, base, reason, evidence, changed_by)
      select ${model}, ${rollout}::uuid, ${stage}, ${step}::integer, ${share}::double precision, ${version}, ${base},
        ${reason}, ${JSON.stringify(evidence)}::jsonb, ${principal}
      where (select id from prior) is not distinct from ${after}::bigint and ${holds}
      returning id
    ), audited as (${audited}), noted as (
      insert into ${millrace.outbox} (tags) select array(select jsonb_array_elements_text(${JSON.stringify(tags)}::jsonb))
      from moved returning id
    ), ${registryRun({
      ...{ model, action: 'rollout', version: sql`${version}::text`, from: sql`moved` },
      facts: sql`jsonb_build_object('rollout', ${rollout}::text, 'step', moved.id, 'stage', ${stage}::text,
        'share', ${share}::double precision, 'base', ${base}::text, 'reason', ${reason}::text, 'by', ${principal}::text)`,
    })}
    select moved.id, noted.id as "outboxId" from moved, noted`;
}
