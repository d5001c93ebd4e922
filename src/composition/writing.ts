import type { Token } from '../cache/clock/clock.ts';
import type { WritePorts } from '../gateway/routes/entities.ts';
import { announcedWrite } from '../pipeline/announced-write.ts';
import { publishChanges } from '../pipeline/publish.ts';
import { Failure } from '../platform/failure.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { deleteEntity, putEntity, rowVersion, type WrittenRow } from '../storage/postgres/entity-writes.ts';
import { markRelayed } from '../storage/postgres/outbox.ts';
import { invalidateTags } from './clock.ts';
import type { BoundIsolate } from './isolate.ts';
import { armRelay } from './storing.ts';

/** The ports of the routes that write rows of entities. */
export function writePorts(bound: BoundIsolate, keepAlive: (work: Promise<unknown>) => void): WritePorts {
  const { db } = bound;
  return {
    put: (entity, key, values, precondition) =>
      announce(bound, keepAlive, async () => met(await putEntity(db, entity, key, values, precondition))),
    remove: (entity, key, precondition) =>
      announce(bound, keepAlive, async () => met(await deleteEntity(db, entity, key, precondition))),
    version: (entity, key) => guarded(() => rowVersion(db, entity, key)),
  };
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
