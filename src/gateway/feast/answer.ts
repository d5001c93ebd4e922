import { z } from '@hono/zod-openapi';
import type { FeatureStatus } from '../../define/feature-value.ts';
import type { AnsweredValue } from '../../features/answer.ts';
import type { WantedFeature } from './references.ts';
import type { Columns, EntityRows } from './rows.ts';

/**
 * Each status as Feast's clients know it (feast/protos/feast/serving/ServingService.proto, `FieldStatus`). They know none
 * for a feature that is being built from history.
 */
const STATUSES = {
  NOT_READY: 'NOT_FOUND',
  PRESENT: 'PRESENT',
  NULL_VALUE: 'NULL_VALUE',
  NOT_FOUND: 'NOT_FOUND',
  OUTSIDE_MAX_AGE: 'OUTSIDE_MAX_AGE',
} as const satisfies Record<FeatureStatus, string>;

/** The time that Feast's server gives for a key, and for a value without an event. */
const NO_TIME = '1970-01-01T00:00:00Z';

export const OnlineFeatures = z
  .object({
    metadata: z.object({
      feature_names: z.array(z.string()).openapi({ description: 'the columns of keys, then the features' }),
    }),
    results: z
      .array(
        z.object({
          values: z.array(z.unknown()),
          statuses: z.array(z.enum([...new Set(Object.values(STATUSES))])),
          event_timestamps: z.array(z.iso.datetime()),
        }),
      )
      .openapi({ description: 'one for each name; its arrays have one member for each row' }),
  })
  .openapi('OnlineFeatures');
export type OnlineFeatures = z.output<typeof OnlineFeatures>;

/** The values of one row, by entity and read name. */
export type RowValues = ReadonlyMap<string, Readonly<Record<string, AnsweredValue>>>;

/**
 * The answer in the form of Feast's server: a result for each column of a key, as it was sent, then one for each feature.
 * An empty list is null, because Feast's client cannot tell its type.
 */
export function onlineFeatures(
  wanted: readonly WantedFeature[],
  keys: readonly EntityRows[],
  sent: Columns,
  rows: readonly RowValues[],
): OnlineFeatures {
  const columns = [...new Set(keys.flatMap((of) => of.columns))];
  return {
    metadata: { feature_names: [...columns, ...wanted.map(({ shownAs }) => shownAs)] },
    results: [
      ...columns.map((column) => ({
        values: [...(sent[column] ?? [])],
        statuses: rows.map(() => STATUSES.PRESENT),
        event_timestamps: rows.map(() => NO_TIME),
      })),
      ...wanted.map(({ entity, name }) => {
        const values = rows.map((row) => row.get(entity.name)?.[name]);
        return {
          values: values.map((of) =>
            Array.isArray(of?.value) && of.value.length === 0 ? null : (of?.value ?? null),
          ),
          statuses: values.map((of) => STATUSES[of?.status ?? 'NOT_FOUND']),
          event_timestamps: values.map((of) => timeOf(of?.eventAt ?? null)),
        };
      }),
    ],
  };
}

/** RFC 3339 with `Z`, and milliseconds unless there are none. */
function timeOf(eventAt: number | null): string {
  return eventAt === null ? NO_TIME : new Date(eventAt).toISOString().replace('.000Z', 'Z');
}
