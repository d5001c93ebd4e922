/** What the server gives to the script of the page. Both sides import this module, so it imports nothing. */

/** An event that a reader may send, and the addresses whose answers are compared. */
export interface LiveEvent {
  readonly type: string;
  readonly data: unknown;
  readonly addresses: readonly string[];
  /** The paths of the models that read features of this event: their answers change, too, a little later. */
  readonly feeds: readonly string[];
}

/** The view of one row by a key of one part. */
export interface RowRoute {
  readonly entity: string;
  /** The path before the key: `/v1/stations/`. */
  readonly prefix: string;
  /** The property that holds the key in answers. */
  readonly property: string;
  /** The property of its answer that describes the row to a person; undefined if it has none. */
  readonly label: string | undefined;
}

/** A model that answers at a path. */
export interface LiveModel {
  readonly name: string;
  /** With parameters in braces. */
  readonly path: string;
  /** With the parameters of the examples, or with names in capitals where the examples have no value. */
  readonly address: string;
  /** For a ranking: the entity of its items. */
  readonly items: string | undefined;
}

export interface LiveData {
  readonly events: readonly LiveEvent[];
  readonly rows: readonly RowRoute[];
  readonly models: readonly LiveModel[];
}

/** Whether an address, with or without a query, is one of a path with parameters in braces. */
export function isAddressOf(template: string, address: string): boolean {
  const segments = (address.split('?')[0] ?? '').split('/');
  const expected = template.split('/');
  return (
    expected.length === segments.length &&
    expected.every((segment, index) => segment.startsWith('{') || segment === segments[index])
  );
}
