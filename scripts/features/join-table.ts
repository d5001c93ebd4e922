import type { Catalog } from '../../src/define/catalog.ts';
import type { EntityDefinition } from '../../src/define/entity.ts';
import { readNames } from '../../src/define/feature.ts';
import { answerOf } from '../../src/features/answer.ts';
import { type HistoryPort, type JoinProgress, joinHistory } from '../../src/features/join-history.ts';
import type { AsOfRequest } from '../../src/features/point-in-time.ts';
import { nearest, UsageError } from '../command-line/options.ts';
import type { Table, TableRow } from './table.ts';

/** How the columns of a file become requests, and which features the answer has. */
export interface JoinWishes {
  readonly entity: string;
  /** The column of the key; by default it has the name of the entity. */
  readonly key?: string | undefined;
  /** The column of the moment. */
  readonly at: string;
  /** The knowledge time of all rows, in milliseconds; without it a row's column `known`, if the file has one. */
  readonly known?: number | undefined;
  readonly isBefore: boolean;
  /** Read names; without it all that need no field of a request. */
  readonly features?: readonly string[] | undefined;
  /** Stands before the name of each column that is added. */
  readonly prefix: string;
  /** Adds a column with the status beside each value. */
  readonly statuses: boolean;
}

export interface JoinedTable {
  readonly columns: readonly string[];
  /** The values of the file's row and those of the features, in the order of the file. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const KNOWN_COLUMN = 'known';

/**
 * Joins the rows of a file with the features as of their moments.
 *
 * @throws UsageError for an entity, a feature or a column that there is not, and for a column that is there already.
 * @throws Error that names the line of a row whose key or moment is none.
 */
export async function joinTable(
  table: Table,
  wishes: JoinWishes,
  catalog: Catalog,
  history: HistoryPort,
  tell: (progress: JoinProgress) => void = () => undefined,
): Promise<JoinedTable> {
  const entity = entityOf(catalog, wishes.entity);
  const derived = catalog.derived.filter((one) => one.entity.name === entity.name);
  const names = namesOf(catalog, entity, wishes.features);
  const added = names.flatMap((name) => columnsOf(name, wishes).map(([column]) => column));
  const taken = added.find((column) => table.columns.includes(column));
  if (taken !== undefined)
    throw new UsageError(`The file has a column "${taken}" already. Give the new ones a --column-prefix.`);
  const requests = requestsOf(table, entity, wishes);
  const needed = new Set([
    ...names,
    ...derived
      .filter(({ name }) => names.includes(name))
      .flatMap(({ inputs }) => Object.values(inputs).map(({ readName }) => readName)),
  ]);
  const features = catalog.features.filter(
    (one) => one.entity.name === entity.name && readNames(one).some((name) => needed.has(name)),
  );
  const rows = await joinHistory(features, requests, history, tell);
  return {
    columns: [...table.columns, ...added],
    rows: table.rows.map(({ values }, index) => {
      const now = requests[index]?.at ?? 0;
      const asked = { names, now, derived, requests: new Map(names.map((name) => [name, {}])) };
      const answer = answerOf(rows[index] ?? {}, asked);
      const own = names.flatMap((name) =>
        columnsOf(name, wishes).map(([column, part]) => [column, answer[name]?.[part] ?? null] as const),
      );
      return { ...values, ...Object.fromEntries(own) };
    }),
  };
}

function columnsOf(
  name: string,
  { prefix, statuses }: JoinWishes,
): [column: string, part: 'value' | 'status'][] {
  const value = `${prefix}${name}`;
  return statuses
    ? [
        [value, 'value'],
        [`${value}_status`, 'status'],
      ]
    : [[value, 'value']];
}

function entityOf({ features }: Catalog, name: string): EntityDefinition {
  const known = new Map(features.map(({ entity }) => [entity.name, entity]));
  const found = known.get(name);
  if (found !== undefined) return found;
  throw new UsageError(
    `The catalog declares no features of "${name}". It has features of: ${[...known.keys()].join(', ') || 'nothing'}.`,
  );
}

function namesOf(
  catalog: Catalog,
  { name: entity }: EntityDefinition,
  wanted: readonly string[] | undefined,
): readonly string[] {
  const stored = catalog.features.filter((one) => one.entity.name === entity).flatMap(readNames);
  const derived = catalog.derived.filter((one) => one.entity.name === entity);
  const free = derived.filter(({ request }) => Object.keys(request.shape).length === 0);
  const declared = [...stored, ...free.map(({ name }) => name)];
  for (const name of wanted ?? []) {
    if (declared.includes(name)) continue;
    if (derived.some((one) => one.name === name))
      throw new UsageError(
        `The feature "${name}" is computed from fields of a request, which a file does not have.`,
      );
    const near = nearest(name, declared);
    throw new UsageError(
      `"${entity}" has no feature "${name}".${near === undefined ? '' : ` Did you mean "${near}"?`} It has ${declared.join(', ')}.`,
    );
  }
  return wanted ?? declared;
}

function requestsOf(table: Table, entity: EntityDefinition, wishes: JoinWishes): AsOfRequest[] {
  const { at: atColumn, key: keyColumn = entity.name, known, isBefore } = wishes;
  for (const column of [keyColumn, atColumn])
    if (table.rows.length > 0 && !table.columns.includes(column))
      throw new UsageError(`The file has no column "${column}". It has ${table.columns.join(', ')}.`);
  return table.rows.map((row) => {
    const values = entity.key.parse(row.values[keyColumn]);
    if (values === undefined) throw mistakeIn(row, keyColumn, `no key of "${entity.name}"`);
    const ownKnown = row.values[KNOWN_COLUMN];
    const isGiven = ownKnown !== undefined && ownKnown !== null && ownKnown !== '';
    return {
      ...{ entity: entity.name, key: entity.key.textOf(values), isBefore },
      at: momentIn(row, atColumn),
      known: known ?? (isGiven ? momentIn(row, KNOWN_COLUMN) : undefined),
    };
  });
}

/** A moment of a row: RFC 3339, or milliseconds since the Unix epoch. */
function momentIn(row: TableRow, column: string): number {
  const text = String(row.values[column] ?? '');
  const moment = /^-?\d{1,15}$/.test(text)
    ? Number(text)
    : /^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d))?$/.test(text)
      ? Date.parse(text)
      : Number.NaN;
  if (Number.isNaN(moment))
    throw mistakeIn(
      row,
      column,
      'no moment: write 2026-05-31T09:00:00Z (RFC 3339), or milliseconds since 1970',
    );
  return moment;
}

function mistakeIn({ line, values }: TableRow, column: string, what: string): Error {
  return new Error(
    `Line ${line}: "${column}" is ${JSON.stringify(values[column] ?? null)}, which is ${what}.`,
  );
}
