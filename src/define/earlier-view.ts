import * as z from 'zod';
import { defining } from './mistake.ts';
import type { ViewRowsDefinition } from './rows.ts';
import { checkedDeprecation, type Deprecation } from './version.ts';
import { parseAnswer, type View, type ViewDefinition } from './view.ts';

/**
 * Declares an earlier version of a view: another path whose answers are made of those of the current version, so that one
 * `load` serves both. `up` converts a query to that of the current version, `down` an answer to the form of this one. Both
 * must be pure: answers of this version are cached by themselves, under the same tags.
 *
 * @param current has the same parameters of the path.
 */
export function earlierView<
  Params extends z.ZodRawShape,
  Query extends z.ZodRawShape,
  Response extends z.ZodType,
  Older extends z.ZodType,
  OlderQuery extends z.ZodRawShape = Query,
>(
  current: View<Params, Query, Response>,
  declaration: {
    /** As of any view: `station-rides-v1`. */
    name: string;
    path: `/v${number}/${string}`;
    /** Since when clients should use the current version, and from which day this one may be gone. */
    deprecated: Deprecation;
    response: Older;
    down: (answer: z.output<Response>) => z.input<Older>;
  } & (
    | { query?: undefined; up?: undefined }
    | {
        /** The query of this version, if it differs. */
        query: OlderQuery;
        up: (query: z.output<z.ZodObject<OlderQuery>>) => z.output<z.ZodObject<Query>>;
      }
  ),
): ViewDefinition {
  return defining<ViewDefinition>({ kind: 'view', name: declaration.name }, () => {
    const { name, path, deprecated, response, down, query, up } = declaration;
    const ownQuery = query === undefined ? undefined : z.object(query);
    const upcast = (input: unknown): unknown => {
      if (ownQuery === undefined || up === undefined) return input;
      const given = Object(input) as Readonly<Record<string, unknown>>;
      const params = Object.keys(current.params.shape).map((parameter) => [parameter, given[parameter]]);
      const fields = Object.keys(ownQuery.shape).map((field) => [field, given[field]]);
      // The gateway has parsed the input by these schemas.
      const asked = Object.fromEntries(fields) as z.output<z.ZodObject<OlderQuery>>;
      return { ...Object.fromEntries(params), ...up(asked) };
    };
    return {
      ...current,
      name,
      path,
      query: ownQuery ?? current.query,
      response,
      replaced: { by: current.path, ...(checkedDeprecation(deprecated) ?? deprecated) },
      rows: rowsOf(current.rows, upcast),
      featureReads: current.featureReads.map((read) => ({
        ...read,
        key: (input) => read.key(upcast(input)),
      })),
      load: async (db, request) => {
        const loaded = await current.load(db, { ...request, input: upcast(request.input) });
        if (loaded.value === null) return loaded;
        // `current.load` has parsed the value by the current version's own schema.
        return { ...loaded, value: parseAnswer(response, down(loaded.value as z.output<Response>)) };
      },
    };
  });
}

/** Whose rows are asked for is what the current version reads, whatever this version calls it. */
function rowsOf(
  rows: ViewRowsDefinition | undefined,
  upcast: (input: unknown) => unknown,
): ViewRowsDefinition | undefined {
  const of = rows?.of;
  return rows === undefined || of === undefined ? rows : { ...rows, of: (input) => of(upcast(input)) };
}
