import * as z from 'zod';
import type { Catalog } from '../../define/catalog.ts';
import { candidates, type ExampleValues, exampleValues } from '../../define/example-addresses.ts';
import { readNames } from '../../define/feature.ts';
import type { FeatureRow } from '../../define/feature-value.ts';
import { orderOfCursor } from '../../define/list-cursor.ts';
import { type KeyHolder, SCOPES } from '../../define/principal.ts';
import { BOOTSTRAP_ID } from '../../define/rows.ts';
import { SAMPLE_TEXTS } from '../../define/sample-texts.ts';
import type { ViewDefinition, ViewLoad } from '../../define/view.ts';
import type { Time } from '../../platform/clock.ts';
import { noReads, type Reads, recordingDatabase } from './recording.ts';
import { type KnownValues, knownValues, SampleRows } from './samples.ts';
import { tablesOf } from './tables.ts';

/** What a view was seen to read and to depend on when its `load` ran with made-up input and rows. */
export interface ObservedView extends Reads {
  readonly tags: ReadonlySet<string>;
  /** What could not be seen, as sentences. */
  readonly unknown: readonly string[];
}

/** The time of a run, in milliseconds since the Unix epoch: 2026-01-01. */
const NOW_MS = 1_767_225_600_000;
const REASON_CHARACTERS_MAX = 200;

const HOLDER: KeyHolder = { kind: 'key', id: BOOTSTRAP_ID, scopes: new Set(SCOPES), claims: {} };

/** A run has no I/O, so it ends at once unless `load` waits for something else than the database. */
const RUN_MS_MAX = 250;

/** Runs each view of a catalog. */
export async function observeViews(
  catalog: Catalog,
  withTimeout: Time['withTimeout'],
): Promise<Map<string, ObservedView>> {
  const known = { keys: exampleValues(catalog.events, NOW_MS), values: knownValues(catalog, NOW_MS) };
  const found = catalog.views.map(async (view) => {
    const seen = await observeView(view, catalog, known, withTimeout).catch((error: unknown) => ({
      ...{ ...noReads(), tags: new Set<string>() },
      unknown: [`It could not be run: ${reasonOf(error)}`],
    }));
    return [view.name, seen] as const;
  });
  return new Map(await Promise.all(found));
}

/** A run waits for something else than the database, which answers at once. */
class NotEnded extends Error {
  constructor() {
    super('it did not end; it waits for something else than the database');
  }
}

interface Known {
  readonly keys: ExampleValues;
  readonly values: KnownValues;
}

async function observeView(
  view: ViewDefinition,
  catalog: Catalog,
  known: Known,
  withTimeout: Time['withTimeout'],
): Promise<ObservedView> {
  const reads = noReads();
  const tags = new Set<string>();
  const unknown = new Set<string>();
  const samples = new SampleRows(known.values, view.response);
  const tables = tablesOf(catalog);
  for (const takesOptional of [false, true]) {
    const input = inputOf(view, takesOptional, known.keys, samples);
    for (const missing of input.missing) unknown.add(missing);
    if (input.value === undefined) continue;
    for (const hasRows of [true, false])
      for (const owner of ownersOf(view)) {
        const db = recordingDatabase({ reads, tables, samples, hasRows });
        const request = requestOf(view, input.value, owner, takesOptional, hasRows);
        try {
          const loaded = await withTimeout(view.load(db, request), RUN_MS_MAX, () => new NotEnded());
          for (const tag of loaded.tags) tags.add(tag);
        } catch (error) {
          unknown.add(
            `Its load failed ${hasRows ? 'with made-up rows' : 'without rows'}: ${reasonOf(error)}`,
          );
          // Another run would wait as long.
          if (error instanceof NotEnded) return { ...reads, tags, unknown: [...unknown] };
        }
      }
  }
  return { ...reads, tags, unknown: [...unknown] };
}

function reasonOf(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return (root instanceof Error ? root.message : String(root)).slice(0, REASON_CHARACTERS_MAX);
}

/** A view with `ownRows` reads the rows of one owner, or all. */
function ownersOf({ rows }: ViewDefinition): readonly (string | null | undefined)[] {
  return rows !== undefined && rows.of === undefined ? [null, '1'] : [undefined];
}

function requestOf(
  view: ViewDefinition,
  input: unknown,
  owner: string | null | undefined,
  takesOptional: boolean,
  hasRows: boolean,
): ViewLoad {
  const variant = Object.entries(view.vary).map(([name, { values }]) => [
    name,
    (takesOptional ? values.at(-1) : values[0]) ?? '',
  ]);
  const features = view.featureReads.map((read): [string, FeatureRow] => [
    read.name,
    Object.fromEntries(
      read.features.flatMap((feature) =>
        readNames(feature).map((name) => [
          name,
          hasRows
            ? { value: feature.limit > 0 ? [] : 1, status: 'PRESENT' as const, eventAt: NOW_MS }
            : { value: null, status: 'NOT_FOUND' as const, eventAt: null },
        ]),
      ),
    ),
  ]);
  return {
    input,
    variant: Object.fromEntries(variant),
    principal: view.takesPrincipal ? HOLDER : undefined,
    owner,
    now: NOW_MS,
    features: Object.fromEntries(features),
  };
}

interface Input {
  /** The parsed parameters; undefined if one that is needed has no known value. */
  readonly value: unknown;
  readonly missing: readonly string[];
}

function inputOf(
  view: ViewDefinition,
  takesOptional: boolean,
  keys: ExampleValues,
  samples: SampleRows,
): Input {
  const missing: string[] = [];
  let isComplete = true;
  const given = (schema: z.ZodObject) => {
    const values: Record<string, string> = {};
    for (const [name, field] of Object.entries<z.core.$ZodType>(schema.shape)) {
      const isOptional = z.safeParse(field, undefined).success;
      if (isOptional && !takesOptional) continue;
      const value = sampleOf(name, field, view, keys, samples);
      if (value !== undefined) values[name] = value;
      else {
        missing.push(`No value of its parameter "${name}" is known, so its load was not run with one.`);
        if (!isOptional) isComplete = false;
      }
    }
    return schema.safeParse(values);
  };
  const params = given(view.params);
  const query = given(view.query);
  if (!isComplete) return { value: undefined, missing };
  if (!params.success || !query.success)
    return {
      value: undefined,
      missing: [...missing, 'Its parameters refuse the values that are known of them.'],
    };
  return { value: { ...params.data, ...query.data }, missing };
}

function sampleOf(
  name: string,
  field: z.core.$ZodType,
  view: ViewDefinition,
  keys: ExampleValues,
  samples: SampleRows,
): string | undefined {
  const orderBy = orderOfCursor(unwrapped(field));
  const texts =
    orderBy === undefined
      ? [...candidates(name, field, keys, view.path), ...SAMPLE_TEXTS, ...listed(field)]
      : [samples.cursor(orderBy)];
  return texts.find((text) => z.safeParse(field, text).success);
}

/** The values that a parameter lists. */
function listed(field: z.core.$ZodType): string[] {
  const of = unwrapped(field);
  return of instanceof z.ZodEnum ? of.options.map(String) : [];
}

function unwrapped(field: z.core.$ZodType): z.core.$ZodType {
  let at: z.core.$ZodType = field;
  while (at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodNullable)
    at = at.unwrap();
  return at;
}
