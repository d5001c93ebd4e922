import { neon } from '@neondatabase/serverless';
import * as z from 'zod';
import type { Snapshot, TrainingReport } from '../../../src/operations/lineage/training.ts';
import type { TrainingResult } from '../train.ts';

/** A report is one small statement; a training does not wait longer for it. */
const REPORT_TIMEOUT_MS = 10_000;
const SOURCES_MAX = 50;
const ERROR_CHARACTERS_MAX = 1_000;

/** The rows that a training reads: all numbers up to one that is fixed before the first is read. */
export interface Bounds {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** RFC 3339. */
  readonly asOf: string;
}

const boundsSchema = z.object({
  first: z.coerce.number().nullable(),
  last: z.coerce.number().nullable(),
  now: z.union([z.date(), z.string()]).transform((at) => new Date(at).toISOString()),
});

/** What there is to read of the purchases of known customers; undefined where there are none. */
export async function boundsOfPurchases(databaseUrl: string): Promise<Bounds | undefined> {
  const [row] = await neon(databaseUrl)`
    select min(event_seq) as first, max(event_seq) as last, now() as now
    from purchases where customer_id is not null`;
  const { first, last, now } = boundsSchema.parse(row);
  return first === null || last === null ? undefined : { firstSeq: first, lastSeq: last, asOf: now };
}

const sourceSchema = z.object({ source: z.string(), type: z.string(), events: z.coerce.number().int() });

/** Where the purchases within bounds came from, the largest sources first. */
export async function sourcesOfPurchases(
  databaseUrl: string,
  { firstSeq, lastSeq }: Bounds,
): Promise<Snapshot['sources']> {
  const rows = await neon(databaseUrl)`
    select e.source, e.type, count(*) as events
    from purchases p join millrace.events e on e.seq = p.event_seq
    where p.event_seq between ${firstSeq} and ${lastSeq} and p.customer_id is not null
    group by e.source, e.type order by events desc, e.source, e.type limit ${SOURCES_MAX}`;
  return z.array(sourceSchema).parse(rows);
}

/** What a training that gave a bundle tells of itself. */
export function completed(
  { bundle, report }: TrainingResult,
  startedAt: string,
  origin: (Bounds & { readonly sources: Snapshot['sources'] }) | undefined,
): TrainingReport {
  const { version, model, trainedFrom } = bundle.manifest;
  const snapshot = origin && {
    ...origin,
    table: 'purchases',
    rows: trainedFrom.rows,
    keys: report.customers,
    from: trainedFrom.from,
    to: trainedFrom.to,
  };
  const assertions = [{ assertion: 'beats_popularity', success: report.beatsPopularity }];
  const { trainingRows } = report;
  return { state: 'COMPLETE', startedAt, version, sha256: model.sha256, snapshot, trainingRows, assertions };
}

/** What a training that gave none tells of itself. */
export function failed(error: unknown, startedAt: string): TrainingReport {
  const text = error instanceof Error ? error.message : String(error);
  return {
    state: 'FAIL',
    startedAt,
    assertions: [],
    error: text.slice(0, ERROR_CHARACTERS_MAX) || 'It failed.',
  };
}

/** Tells a deployment of a training. What cannot be told is said on the console, and changes nothing else. */
export async function tell(
  report: TrainingReport,
  target: { readonly url: string; readonly key: string; readonly model: string; readonly runId: string },
): Promise<void> {
  const { url, key, model, runId } = target;
  try {
    const response = await fetch(new URL(`/v1/admin/models/${model}/trainings/${runId}`, url), {
      method: 'PUT',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(report),
      signal: AbortSignal.timeout(REPORT_TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
  } catch (error) {
    console.warn(
      'The lineage of this training could not be told:',
      error instanceof Error ? error.message : error,
    );
  }
}
