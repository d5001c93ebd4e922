import { type AsOfPorts, loadAsOf } from '../cache/as-of.ts';
import { readNames } from '../define/feature.ts';
import type { FeatureRow } from '../define/feature-value.ts';
import { AnswerMismatch, type Loaded, type ViewDefinition, type ViewRequest } from '../define/view.ts';
import { Failure } from '../platform/failure.ts';
import { newId } from '../platform/ids.ts';
import { log } from '../platform/logger.ts';
import { guarded, sqlState } from '../storage/postgres/connect.ts';
import { answerTags } from './groups.ts';
import { readFeatures, type ShardPort } from './shards.ts';

/**
 * An error in a view's own code or in one of its statements. The view's name and the cause are already logged, under
 * the fault's id: the log of each request that waited for the view has the same id.
 */
export class ViewFault extends Error {
  override readonly name = 'ViewFault';
  readonly id: string;

  constructor(view: string, id: string, cause: unknown) {
    super(`The view "${view}" failed.`, { cause });
    this.id = id;
  }
}

export interface LoadViewPorts extends AsOfPorts {
  readonly shards: Pick<ShardPort, 'read' | 'moves'>;
}

/**
 * Reads a view's answer from the origin: first the features that it declares, then its `load`. The caller takes the
 * stamp of the fill before this call, so a later fold invalidates the answer.
 *
 * @param now end of the features' windows, in milliseconds since the Unix epoch.
 * @throws Failure for an outage of the database or of the feature store, and for text that Postgres cannot store.
 * @throws ViewFault for any other error: it is the view's own fault and logged. No old answer may stand in for it.
 */
export async function loadView(
  view: ViewDefinition,
  request: ViewRequest,
  now: number,
  ports: LoadViewPorts,
): Promise<Loaded> {
  try {
    const features = await featuresOf(view, request.input, now, ports.shards);
    return await guarded(() =>
      loadAsOf(async (db) => {
        const loaded = await view.load(db, { ...request, now, features: features.rows });
        return { ...loaded, tags: [...loaded.tags, ...features.tags] };
      }, ports),
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    const state = sqlState(error);
    const id = newId();
    const fields = {
      'event.action': 'view-load',
      'error.id': id,
      'millrace.view': view.name,
      ...(state === undefined ? {} : { 'error.code': state }),
      ...(error instanceof AnswerMismatch ? { 'millrace.pointer': error.pointer } : {}),
    };
    log('error', 'A view failed.', fields, error);
    throw new ViewFault(view.name, id, error);
  }
}

async function featuresOf(
  { featureReads }: ViewDefinition,
  input: unknown,
  now: number,
  shards: Pick<ShardPort, 'read' | 'moves'>,
): Promise<{ rows: Record<string, FeatureRow>; tags: string[] }> {
  const reads = await Promise.all(
    featureReads.map(async ({ name, entity, features, key: keyOf }) => {
      const key = entity.key.textOf(keyOf(input));
      const [row = {}] = await readFeatures(entity.name, [key], now, shards);
      const wanted = features.flatMap(readNames).flatMap((read) => {
        const value = row[read];
        return value === undefined ? [] : [[read, value] as const];
      });
      return {
        name,
        row: Object.fromEntries(wanted),
        tags: answerTags(entity.name, key, features),
      };
    }),
  );
  return {
    rows: Object.fromEntries(reads.map(({ name, row }) => [name, row])),
    tags: [...new Set(reads.flatMap(({ tags }) => tags))],
  };
}
