import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Catalog } from '../catalog.ts';
import { type Effect, insertedRow } from '../effect.ts';
import { CATALOG_DEFECTS, type EventDefinition } from '../event.ts';
import { mistakeOfValue } from '../feature-measured.ts';
import type { Report } from '../problem.ts';

/**
 * The time at which examples happen and are validated: 2026-01-01. It is fixed, so that a catalog loads equally at any
 * time.
 */
const EXAMPLE_AT_MS = 1_767_225_600_000;

/**
 * Checks that each example satisfies its contract, and that its rows and contributions fit the tables and the features.
 */
export function checkExamples(catalog: Catalog, report: Report): void {
  for (const event of catalog.events)
    for (const version of [event, ...event.earlier]) checkExample(catalog, event, version, report);
}

function checkExample(
  catalog: Catalog,
  event: EventDefinition,
  version: EventDefinition,
  report: Report,
): void {
  if (version.example === undefined) return;
  const named = `event "${version.type}"`;
  const tried = attempt(() =>
    version.interpret(version.example, { occurredAt: EXAMPLE_AT_MS, now: EXAMPLE_AT_MS }),
  );
  if ('error' in tried) {
    const problem = `Its contract fails for its example: ${tried.error}`;
    report(event, named, problem, 'Correct a function of the contract, or the example.');
  } else if (!tried.value.ok) {
    const { reason, pointer, detail } = tried.value;
    const problem = `Its example is refused: ${reason} at ${pointer}: ${detail}`;
    report(event, named, problem, remedyOf(reason));
  } else {
    for (const effect of tried.value.effects) checkEffect(event, named, effect, report);
    checkFolds(catalog, event, version, report);
  }
}

function remedyOf(reason: string): string {
  const defect = CATALOG_DEFECTS.get(reason);
  if (defect !== undefined) return `Correct ${defect}, or the example.`;
  if (reason === 'not_storable') return 'Correct the example, `stores` or the column.';
  return 'Correct the example: /v1/events/types shows it to clients as an event that is accepted.';
}

function checkFolds(
  catalog: Catalog,
  event: EventDefinition,
  version: EventDefinition,
  report: Report,
): void {
  const parsed = version.parse(version.example);
  for (const feature of catalog.features.filter(({ eventType }) => eventType === event.type)) {
    const named = `feature "${feature.name}"`;
    const folded = attempt(() => feature.contributions(parsed));
    if ('error' in folded) {
      const problem = `It fails for the example of ${version.type}: ${folded.error}`;
      report(feature, named, problem, 'Correct `key`, `value` or `item`.');
    } else {
      for (const { value } of folded.value) {
        const mistake = mistakeOfValue(feature, value);
        if (mistake !== undefined)
          report(
            feature,
            named,
            `It takes from the example of ${version.type} ${mistake}.`,
            'Correct `value` or `numbers`.',
          );
      }
      const fraction = folded.value.find(({ amount }) => !Number.isSafeInteger(amount));
      if (fraction === undefined) continue;
      const problem = `It adds ${fraction.amount} for the example of ${version.type}; sums over days must be whole numbers.`;
      report(
        feature,
        named,
        problem,
        'Return a whole number, e.g. cents or grams, or declare `windows` and `numbers`.',
      );
    }
  }
}

function checkEffect(event: EventDefinition, named: string, effect: Effect, report: Report): void {
  const [table, target] =
    effect.kind === 'append'
      ? [effect.history.table, `history "${effect.history.name}"`]
      : [effect.entity.table, `entity "${effect.entity.name}"`];
  const columns: Readonly<Record<string, PgColumn>> = getTableColumns(table);
  const inserted = insertedRow(effect);
  const given: Readonly<Record<string, unknown>> = 'row' in effect ? effect.row : (inserted ?? {});
  for (const [property, value] of Object.entries(given)) {
    const column = columns[property];
    if (column === undefined)
      report(
        event,
        named,
        `It stores "${property}" in the ${target}, whose table has no such column.`,
        'Correct `stores` or the table.',
      );
    else if (column.notNull && value === null)
      report(
        event,
        named,
        `It stores null in "${property}" of the ${target}, which is not null.`,
        'Correct `stores` or the table.',
      );
  }
  if (inserted === undefined) return;
  for (const property of required(table))
    if (!(property in inserted) && property !== 'eventSeq' && property !== 'eventLine')
      report(
        event,
        named,
        `It stores no "${property}" in the ${target}, which has no default.`,
        'Add it to the row, or give the column a default.',
      );
}

function required(table: PgTable): string[] {
  return Object.entries(getTableColumns(table)).flatMap(([property, column]) =>
    column.notNull && !column.hasDefault ? [property] : [],
  );
}

function attempt<T>(work: () => T): { readonly value: T } | { readonly error: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
