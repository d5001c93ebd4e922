import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import * as z from 'zod';

/** A folder with the published OpenLineage.json, and its facets under `facets/`; `.ci/run` brings one. */
const FOLDER = process.env['OPENLINEAGE_SCHEMAS'];

/** For the titles of tests that check against the published schemas. */
export const PUBLISHED_TITLE = FOLDER
  ? 'the published schemas'
  : 'the published schemas (skipped: OPENLINEAGE_SCHEMAS is not set)';
export const hasPublished = Boolean(FOLDER);

const Uri = z.string().regex(/^[a-z][a-z0-9+.-]*:\S+$/);
const facetAt = (name: string) =>
  Uri.regex(
    new RegExp(`^https://openlineage\\.io/spec/facets/\\d+-\\d+-\\d+/${name}\\.json#/\\$defs/${name}$`),
  );
const facet = <Shape extends z.ZodRawShape>(name: string, shape: Shape) =>
  z.strictObject({ _producer: Uri, _schemaURL: facetAt(name), ...shape }).optional();
const Count = z.int().nonnegative();
const Dataset = {
  namespace: z.string().min(1),
  name: z.string().min(1),
  facets: z.strictObject({
    schema: facet('SchemaDatasetFacet', {
      fields: z.array(z.strictObject({ name: z.string(), type: z.string() })),
    }),
    version: facet('DatasetVersionDatasetFacet', { datasetVersion: z.string().min(1) }),
  }),
};

/** What we send of OpenLineage, written down by ourselves; stricter than the specification where we are. */
export const OwnRunEvent = z.strictObject({
  eventType: z.enum(['START', 'COMPLETE', 'FAIL', 'ABORT']),
  eventTime: z.iso.datetime(),
  producer: Uri,
  schemaURL: z.literal('https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent'),
  run: z.strictObject({
    runId: z.uuid(),
    facets: z.strictObject({
      errorMessage: facet('ErrorMessageRunFacet', {
        message: z.string().min(1),
        programmingLanguage: z.string(),
      }),
    }),
  }),
  job: z.strictObject({
    namespace: z.string().min(1),
    name: z.string().min(1),
    facets: z.strictObject({
      jobType: facet('JobTypeJobFacet', {
        processingType: z.enum(['BATCH', 'STREAMING']),
        integration: z.string(),
        jobType: z.string(),
      }),
    }),
  }),
  inputs: z.array(
    z.strictObject({
      ...Dataset,
      inputFacets: z
        .strictObject({
          dataQualityMetrics: facet('DataQualityMetricsInputDatasetFacet', {
            rowCount: Count,
            columnMetrics: z.strictObject({}),
          }),
          dataQualityAssertions: facet('DataQualityAssertionsDatasetFacet', {
            assertions: z.array(z.strictObject({ assertion: z.string().min(1), success: z.boolean() })),
          }),
        })
        .optional(),
    }),
  ),
  outputs: z.array(
    z.strictObject({
      ...Dataset,
      outputFacets: z
        .strictObject({ outputStatistics: facet('OutputStatisticsOutputDatasetFacet', { rowCount: Count }) })
        .optional(),
    }),
  ),
});

/** Checks run events against the published schemas: as a whole, and each facet whose schema there is. */
export class PublishedSchemas {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #facets = new Set<string>();
  readonly #runEvent: ValidateFunction;

  constructor() {
    formats.default(this.#ajv);
    const folder = FOLDER ?? '';
    const read = (file: string): { $id: string } => JSON.parse(readFileSync(join(folder, file), 'utf8'));
    const core = read('OpenLineage.json');
    this.#ajv.addSchema(core);
    for (const file of readdirSync(join(folder, 'facets'))) {
      const schema = read(join('facets', file));
      this.#ajv.addSchema(schema);
      this.#facets.add(schema.$id);
    }
    this.#runEvent = this.#schema(`${core.$id}#/$defs/RunEvent`);
  }

  /** Whether the schema of a facet is there, by the facet's `_schemaURL`. */
  has(schemaUrl: string): boolean {
    return this.#facets.has(schemaUrl.split('#')[0] ?? '');
  }

  /** What is wrong with an event; nothing where it is right. */
  faults(event: unknown): string[] {
    return [
      ...this.#faultsOf(this.#runEvent, event),
      ...facetsOf(event)
        .filter(({ _schemaURL: url }) => this.has(url))
        .flatMap((one) => this.#faultsOf(this.#schema(one._schemaURL), one)),
    ];
  }

  #schema(url: string): ValidateFunction {
    const validate = this.#ajv.getSchema(url);
    if (validate === undefined) throw new Error(`There is no schema ${url}.`);
    return validate;
  }

  #faultsOf(validate: ValidateFunction, value: unknown): string[] {
    return validate(value)
      ? []
      : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  }
}

/** All facets of an event, wherever they are. */
export function facetsOf(value: unknown): { readonly _schemaURL: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = '_schemaURL' in value ? [value as { readonly _schemaURL: string }] : [];
  return [...own, ...Object.values(value).flatMap(facetsOf)];
}
