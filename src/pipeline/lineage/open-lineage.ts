/**
 * Run events of OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json), made from a stored run. Pure: the
 * same run always gives the same events.
 */

const SPEC = 'https://openlineage.io/spec';
const RUN_EVENT = `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`;
/** The producer of the events and facets. */
export const PRODUCER = 'urn:millrace:lineage:1';

/** Versions of the facets. The specification publishes each separately. */
const FACETS = {
  schema: ['1-2-0', 'SchemaDatasetFacet'],
  version: ['1-0-1', 'DatasetVersionDatasetFacet'],
  dataQualityMetrics: ['1-0-2', 'DataQualityMetricsInputDatasetFacet'],
  dataQualityAssertions: ['1-0-1', 'DataQualityAssertionsDatasetFacet'],
  outputStatistics: ['1-0-2', 'OutputStatisticsOutputDatasetFacet'],
  errorMessage: ['1-0-1', 'ErrorMessageRunFacet'],
  jobType: ['2-0-3', 'JobTypeJobFacet'],
} as const satisfies Record<string, readonly [version: string, name: string]>;

type FacetName = keyof typeof FACETS;
type Facet = Readonly<Record<string, unknown>> & { readonly _producer: string; readonly _schemaURL: string };
type Facets = Readonly<Record<string, Facet>>;

export interface Field {
  readonly name: string;
  readonly type: string;
}

export interface Assertion {
  readonly assertion: string;
  readonly success: boolean;
  readonly column?: string;
}

/** A dataset that a run reads or writes. */
export interface RunDataset {
  readonly namespace: string;
  readonly name: string;
  readonly fields: readonly Field[];
  readonly version?: string | undefined;
  /** Rows read or written by the run. */
  readonly rows?: number | undefined;
  readonly assertions?: readonly Assertion[] | undefined;
}

/** A run as OpenLineage needs it. Times are RFC 3339. */
export interface LineageRun {
  readonly id: string;
  readonly namespace: string;
  /** The job's name. */
  readonly job: string;
  readonly processing: 'BATCH' | 'STREAMING';
  readonly startedAt: string;
  readonly end:
    | {
        readonly state: 'COMPLETE' | 'FAIL' | 'ABORT';
        readonly at: string;
        readonly error?: string | undefined;
      }
    | undefined;
  readonly inputs: readonly RunDataset[];
  readonly outputs: readonly RunDataset[];
}

export interface RunEvent {
  readonly eventType: 'START' | 'COMPLETE' | 'FAIL' | 'ABORT';
  readonly eventTime: string;
  readonly run: { readonly runId: string; readonly facets: Facets };
  readonly job: { readonly namespace: string; readonly name: string; readonly facets: Facets };
  readonly inputs: readonly EventDataset[];
  readonly outputs: readonly EventDataset[];
  readonly producer: string;
  readonly schemaURL: string;
}

interface EventDataset {
  readonly namespace: string;
  readonly name: string;
  readonly facets: Facets;
  readonly inputFacets?: Facets;
  readonly outputFacets?: Facets;
}

/** The start of a run, with its datasets. The end has the statistics of these. */
export function startEvent(run: LineageRun): RunEvent {
  return runEvent(run, 'START', run.startedAt, {
    inputs: run.inputs.map(described),
    outputs: run.outputs.map(described),
  });
}

/** The end of a run with its state; undefined while the run continues. */
export function endEvent(run: LineageRun): RunEvent | undefined {
  const { end } = run;
  if (end === undefined) return undefined;
  const facets: Record<string, Facet> = {};
  if (end.error !== undefined) {
    facets['errorMessage'] = facet('errorMessage', { message: end.error, programmingLanguage: 'TypeScript' });
  }
  const inputs = run.inputs.map((dataset) => ({ ...described(dataset), inputFacets: qualityOf(dataset) }));
  const outputs = run.outputs.map((dataset) => ({
    ...described(dataset),
    outputFacets: statisticsOf(dataset),
  }));
  return runEvent(run, end.state, end.at, { inputs, outputs }, facets);
}

function runEvent(
  { id, namespace, job, processing }: LineageRun,
  eventType: RunEvent['eventType'],
  eventTime: string,
  datasets: Pick<RunEvent, 'inputs' | 'outputs'>,
  runFacets: Facets = {},
): RunEvent {
  const jobType = facet('jobType', { processingType: processing, integration: 'MILLRACE', jobType: 'JOB' });
  return {
    eventType,
    eventTime,
    run: { runId: id, facets: runFacets },
    job: { namespace, name: job, facets: { jobType } },
    ...datasets,
    producer: PRODUCER,
    schemaURL: RUN_EVENT,
  };
}

function described({ namespace, name, fields, version }: RunDataset): EventDataset {
  const facets: Record<string, Facet> = { schema: facet('schema', { fields }) };
  if (version !== undefined) facets['version'] = facet('version', { datasetVersion: version });
  return { namespace, name, facets };
}

/** `columnMetrics` is required and empty, because Millrace counts rows and not columns. */
function qualityOf({ rows, assertions }: RunDataset): Facets {
  const facets: Record<string, Facet> = {};
  if (rows !== undefined) {
    facets['dataQualityMetrics'] = facet('dataQualityMetrics', { rowCount: rows, columnMetrics: {} });
  }
  if (assertions !== undefined) {
    facets['dataQualityAssertions'] = facet('dataQualityAssertions', { assertions });
  }
  return facets;
}

function statisticsOf({ rows }: RunDataset): Facets {
  return rows === undefined ? {} : { outputStatistics: facet('outputStatistics', { rowCount: rows }) };
}

function facet(name: FacetName, content: Readonly<Record<string, unknown>>): Facet {
  const [version, definition] = FACETS[name];
  const _schemaURL = `${SPEC}/facets/${version}/${definition}.json#/$defs/${definition}`;
  return { _producer: PRODUCER, _schemaURL, ...content };
}
