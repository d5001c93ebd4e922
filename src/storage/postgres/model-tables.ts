import { foreignKey, integer, jsonb, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
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
