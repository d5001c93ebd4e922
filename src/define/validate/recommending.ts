import type { RankingModel } from '../model.ts';
import type { Within } from '../problem.ts';
import { type ItemReasons, REASON_GROUPS_MAX } from '../recommending.ts';

/** Ten years: longer than a history of items reaches. */
const WITHIN_DAYS_MAX = 3_650;

/** Checks what a ranking declares about the items of its answers. */
export function checkRecommending(
  { exclude, diversity, reasons, columns }: RankingModel,
  within: Within,
): void {
  if (exclude !== undefined && !(exclude.withinDays > 0 && exclude.withinDays <= WITHIN_DAYS_MAX))
    within(
      `Items are left out within ${exclude.withinDays} days.`,
      `Use a number of days up to ${WITHIN_DAYS_MAX}.`,
      '`exclude`',
    );
  if (diversity !== undefined && !(Number.isInteger(diversity.max) && diversity.max > 0))
    within(
      `An answer has at most ${diversity.max} items of a group.`,
      'Use a whole number from 1.',
      '`diversity`',
    );
  if (reasons !== undefined) checkReasons(reasons, columns, within);
}

function checkReasons(
  { groups, baseline = {}, max }: ItemReasons,
  columns: readonly string[],
  within: Within,
): void {
  const place = '`reasons`';
  const named = Object.entries(groups);
  if (named.length === 0 || named.length > REASON_GROUPS_MAX)
    within(
      `There are ${named.length} groups; each doubles the rows that the graph computes.`,
      `Declare 1 to ${REASON_GROUPS_MAX}.`,
      place,
    );
  if (max !== undefined && !(Number.isInteger(max) && max > 0))
    within(`An item has at most ${max} reasons.`, 'Use a whole number from 1.', place);
  const grouped = named.flatMap(([, group]) => group.columns);
  const unknown = [...grouped, ...Object.keys(baseline)].find((column) => !columns.includes(column));
  if (unknown !== undefined)
    within(`The model has no column "${unknown}".`, 'Name a column of `columns`.', place);
  const repeated = grouped.find((column, at) => grouped.indexOf(column) !== at);
  if (repeated !== undefined)
    within(`The column "${repeated}" is in two groups.`, 'Leave it in one of them.', place);
  for (const [name, { columns: own, text }] of named)
    if (own.length === 0 || text.trim() === '')
      within('It has no columns or no text.', 'Give it both.', place, `group "${name}"`);
}
