import type { Token } from '../cache/clock/clock.ts';
import type { EntityDefinition } from '../define/entity.ts';
import type { KeyInput } from '../define/key.ts';
import { laterMoment } from '../features/seen-folds.ts';
import { foldAndInvalidate } from '../features/shards.ts';
import type { WritePorts } from '../gateway/routes/entities.ts';
import { announcedWrite } from '../pipeline/announced-write.ts';
import type { ReportLineage } from '../pipeline/lineage/observed.ts';
import { publishChanges } from '../pipeline/publish.ts';
import { systemTime } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { deleteEntity, putEntity, rowVersion, type WrittenRow } from '../storage/postgres/entity-writes.ts';
import { markRelayed } from '../storage/postgres/outbox.ts';
import { invalidateTags } from './clock.ts';
import { foldPorts } from './folding.ts';
import type { BoundIsolate } from './isolate.ts';
import type { RequestScope } from './request-scope.ts';
import { armRelay, FOLD_AT_ONCE_MS } from './storing.ts';

/** The ports of the routes that write rows of entities. */
export function writePorts(bound: BoundIsolate, scope: RequestScope, noteLineage: ReportLineage): WritePorts {
  const { db } = bound;
  const writing = { bound, scope, noteLineage };
  return {
    put: (entity, key, values, precondition) =>
      announceRow(writing, entity, async (isRecorded) =>
        met(await putEntity(db, entity, key, values, precondition, isRecorded)),
      ),
    remove: (entity, key, precondition) =>
      announceRow(writing, entity, async (isRecorded) =>
        met(await deleteEntity(db, entity, key, precondition, isRecorded ? 'read' : 'on')),
      ),
    version: (entity, key) => guarded(() => rowVersion(db, entity, key)),
  };
}

/** Deletes a row without a record of it for features: for an erasure, which removes the features itself. */
export async function eraseRow(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
  entity: EntityDefinition,
  key: KeyInput,
): Promise<void> {
  await announce(bound, keepAlive, async () => met(await deleteEntity(bound.db, entity, key, {}, 'off')));
}

interface Writing {
  readonly bound: BoundIsolate;
  readonly scope: RequestScope;
  readonly noteLineage: ReportLineage;
}

/**
 * Commits a write of a row, invalidates its tags, and folds the change into the features that read columns of it. The relay
 * publishes the change once more, which changes nothing.
 *
 * @throws Failure `features_unavailable` if the shard does not answer in time. The row is written then.
 */
async function announceRow<Written extends WrittenRow>(
  { bound, scope, noteLineage }: Writing,
  { name }: EntityDefinition,
  commit: (isRecorded: boolean) => Promise<Written>,
): Promise<Written & { readonly token: Token }> {
  const { features } = bound.isolate.catalog;
  const isRecorded = features.some(({ column, entity }) => column !== undefined && entity.name === name);
  const keepAlive = (work: Promise<unknown>) => scope.keepAlive(work);
  const written = await announce(bound, keepAlive, () => commit(isRecorded));
  const { change, token } = written;
  if (change === undefined) return written;
  const folded = await systemTime.withTimeout(
    foldAndInvalidate([change], foldPorts(bound, keepAlive, noteLineage)),
    FOLD_AT_ONCE_MS,
    () =>
      new Failure('features_unavailable', 'The row is written, and its features are not.', {
        retryAfterS: 1,
      }),
  );
  return { ...written, token: laterMoment(token, folded) ?? (await bound.newestToken(scope)) };
}

/** Commits a write, invalidates its tags and returns. The outbox row is marked as relayed in the background. */
export async function announce<Written extends WrittenRow>(
  { db, env, isolate }: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
  commit: () => Promise<Written>,
): Promise<Written & { readonly token: Token }> {
  const { written, token } = await announcedWrite({
    arm: () => armRelay(env),
    commit: () => guarded(commit),
    invalidate: async ({ tags, outboxId }) => {
      const at = await invalidateTags(env, tags);
      isolate.invalidated.note([outboxId], at);
      return at;
    },
    markRelayed: async ({ outboxId, tags }, at) => {
      const entities = new Set(isolate.catalog.entities.map(({ name }) => name));
      await publishChanges(env.CHANGES, [{ outboxId, tags, event: null }], at, entities);
      await markRelayed(db, [outboxId], at);
    },
    keepAlive,
  });
  return { ...written, token };
}

/** The outcome of a conditional write. @throws Failure `precondition_failed` if its precondition was not met. */
function met<Written>(written: Written | null): Written {
  if (written !== null) return written;
  throw new Failure(
    'precondition_failed',
    'The row is not in the state that If-Match or If-None-Match requires. Read it again, then repeat the write with its new entity tag.',
  );
}
