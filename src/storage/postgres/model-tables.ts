import {
  bigserial,
  doublePrecision,
  foreignKey,
  index,
  integer,
  jsonb,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import { schema } from './millrace-schema.ts';

/** Registered versions of models. A version is named by its content, so only `retiredAt` ever changes. */
export const modelVersions = schema.table(
  'model_versions',
  {
    model: text('model').notNull(),
    version: text('version').notNull(),
    /** The manifest as JSON text, because `jsonb` would order its keys anew and refuse NUL. */
    manifest: text('manifest').notNull(),
    /** The model card, in Markdown; empty if the version came without one. */
    card: text('card').notNull(),
    /** What the registration measured, as `Measurement` in `src/inference/measure.ts`. */
    measured: jsonb('measured').notNull(),
    registeredAt: timestamp('registered_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    registeredBy: text('registered_by').notNull(),
    /** When the version was withdrawn. No alias can be given to it from then on. */
    retiredAt: timestamp('retired_at', { withTimezone: true, mode: 'string' }),
  },
  (table) => [primaryKey({ columns: [table.model, table.version] })],
);

/** Every change of an alias, in order. The row with the greatest revision is what the alias names now. */
export const modelAliases = schema.table(
  'model_aliases',
  {
    model: text('model').notNull(),
    /** `champion`, `challenger` or `shadow`. */
    alias: text('alias').notNull(),
    revision: integer('revision').notNull(),
    /** Null if the alias names no version any more. */
    version: text('version'),
    /** `publish`, `promote`, `rollback`, `set` or `clear`. */
    reason: text('reason').notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    changedBy: text('changed_by').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.model, table.alias, table.revision] }),
    foreignKey({
      columns: [table.model, table.version],
      foreignColumns: [modelVersions.model, modelVersions.version],
    }),
  ],
);

/** Every step of every rollout, in order. The row with the greatest id is where a model's rollout is now. */
export const modelRollouts = schema.table(
  'model_rollouts',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    model: text('model').notNull(),
    rollout: uuid('rollout').notNull(),
    /** `shadow`, `canary`, `waiting`, `champion` or `rolled_back`, from this row on. */
    stage: text('stage').notNull(),
    /** Which of the declared shares; -1 in the shadow. */
    step: integer('step').notNull(),
    /** The percentage of the entities that the version answers for. */
    share: doublePrecision('share').notNull(),
    /** The new version, and the champion that it is compared with. */
    version: text('version').notNull(),
    base: text('base').notNull(),
    /** Why the rollout came here. */
    reason: text('reason').notNull(),
    /** What the decision was made of, as `EvidenceRecord` in `src/inference/rollout/evidence.ts`. */
    evidence: jsonb('evidence').notNull(),
    changedAt: timestamp('changed_at', { withTimezone: true, mode: 'string' }).notNull().defaultNow(),
    changedBy: text('changed_by').notNull(),
  },
  (table) => [
    index('model_rollouts_model').on(table.model, table.id),
    foreignKey({
      columns: [table.model, table.version],
      foreignColumns: [modelVersions.model, modelVersions.version],
    }),
  ],
);
