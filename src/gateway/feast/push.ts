import type { EventDefinition } from '../../define/event.ts';
import { BATCH_EVENTS_MAX } from '../../pipeline/cloud-event.ts';
import { Failure, jsonPointer } from '../../platform/failure.ts';

/** A data frame as JSON: for each column its values, in an array or by the index of the row. */
export type DataFrame = Readonly<Record<string, readonly unknown[] | Readonly<Record<string, unknown>>>>;

/** The columns of a data frame that are no data of the event. `created` is dropped. */
const TIME = 'event_timestamp';
const CREATED = 'created';
const ID = 'event_id';

/** A timestamp of a data frame, which may lack its zone: it is then in UTC, as Feast takes it. */
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d+)?)(Z|[+-]\d{2}:\d{2})?$/;

/**
 * The events of a data frame that is pushed to a source: one for each row, with the columns as its data. Without a column
 * `event_id`, the id is a digest of the row, so a row that is pushed again is a duplicate.
 *
 * @param source a type of events, `shop.purchase.v1`, or its name for the current version, `shop.purchase`.
 * @throws Failure `unknown_event_type`, `invalid_request`, `too_many_events`
 */
export async function pushedEvents(
  source: string,
  df: DataFrame,
  types: ReadonlyMap<string, EventDefinition>,
  ports: { readonly digest: (text: string) => Promise<string>; readonly pointer: string },
): Promise<object[]> {
  const type = typeOf(source, types, ports.pointer);
  const rows = rowsOf(df);
  return await Promise.all(
    rows.map(async ({ [TIME]: time, [CREATED]: _, [ID]: id, ...data }) => ({
      specversion: '1.0',
      type,
      source: `/feast/push/${encodeURIComponent(source)}`,
      id: id === undefined ? await ports.digest(canonical({ ...data, [TIME]: time })) : textOf(id),
      time: typeof time === 'string' ? withZone(time) : time,
      data,
    })),
  );
}

function typeOf(source: string, types: ReadonlyMap<string, EventDefinition>, pointer: string): string {
  const found =
    types.get(source) ??
    [...types.values()].find(({ name, type, currentType }) => name === source && type === currentType);
  if (found !== undefined) return found.type;
  throw new Failure(
    'unknown_event_type',
    `The catalog declares no event type "${source}". A source of pushes is one of ${[...types.keys()].join(', ')}. Values of features cannot be written: they are computed from events.`,
    { pointer },
  );
}

function rowsOf(df: DataFrame): Record<string, unknown>[] {
  const columns = Object.entries(df).map(([name, values]) => [name, Object.values(values)] as const);
  const [, length = 0] = columns[0] === undefined ? [] : [columns[0][0], columns[0][1].length];
  const uneven = columns.find(([, values]) => values.length !== length);
  if (uneven !== undefined)
    throw new Failure('invalid_request', `All columns have ${length} values, one for each row.`, {
      pointer: jsonPointer(['df', uneven[0]]),
    });
  if (length === 0) throw new Failure('invalid_request', 'The data frame has no rows.', { pointer: '/df' });
  if (length > BATCH_EVENTS_MAX)
    throw new Failure('too_many_events', `A push has at most ${BATCH_EVENTS_MAX} rows, not ${length}.`);
  if (!Object.hasOwn(df, TIME))
    throw new Failure('invalid_request', `Send the time of each event in the column "${TIME}".`, {
      pointer: '/df',
    });
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
  );
}

/** JSON whose members are in the order of their names, so that the order of the columns does not matter. */
function canonical(row: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An id that is no text or number is passed on: the event is then refused, and kept in quarantine. */
function textOf(id: unknown): unknown {
  return typeof id === 'number' ? String(id) : id;
}

function withZone(time: string): string {
  const match = TIMESTAMP.exec(time);
  return match === null ? time : `${match[1]}T${match[2]}${match[3] ?? 'Z'}`;
}
