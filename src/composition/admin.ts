import { askEveryShard } from '../features/layout.ts';
import type { GatewayPorts } from '../gateway/app.ts';
import { artifactKey } from '../inference/names.ts';
import { calling, Failure } from '../platform/failure.ts';
import { r2Artifacts, uploadToR2 } from '../storage/artifacts.ts';
import { guarded } from '../storage/postgres/connect.ts';
import { countStored } from '../storage/postgres/event-store.ts';
import { countPending } from '../storage/postgres/outbox.ts';
import { countByReason } from '../storage/postgres/quarantine.ts';
import { readPruned } from '../storage/postgres/retention.ts';
import type { BoundIsolate } from './isolate.ts';
import { prepareUpload } from './models.ts';
import { featureShard } from './objects.ts';
import { sweepInSteps } from './sweeping.ts';

/** @throws Failure `features_unavailable` */
export async function askShards<T>(ask: () => Promise<T>): Promise<T> {
  return await calling(
    ask,
    'features_unavailable',
    'The feature store does not answer. Try again shortly.',
    1,
  );
}

/** How an operator uploads artifacts, relays the outbox and counts the pipeline. */
export function adminPorts({ env, db, isolate }: BoundIsolate): GatewayPorts['admin'] {
  return {
    uploadArtifact: async (sha256, upload) => {
      await prepareUpload(db, [sha256]);
      try {
        return await uploadToR2(env.MODELS, artifactKey(sha256), sha256, upload);
      } catch (cause) {
        if (cause instanceof Failure) throw cause;
        const detail = 'The artifact was not stored. Upload it again.';
        throw new Failure('model_unavailable', detail, { retryAfterS: 5, cause });
      }
    },
    openArtifact: (sha256) =>
      calling(
        () => r2Artifacts(env.MODELS).open(artifactKey(sha256)),
        'model_unavailable',
        'The store of artifacts does not answer.',
        5,
      ),
    sweepOutbox: () => sweepInSteps(env),
    pipeline: async (source) => {
      const [stored, quarantine, pending, pruned] = await guarded(() =>
        Promise.all([countStored(db, source), countByReason(db, source), countPending(db), readPruned(db)]),
      );
      const entities = [...new Set(isolate.catalog.features.map(({ entity }) => entity.name))];
      const folded = await askShards(() =>
        Promise.all(
          entities.map(async (entity) => {
            const counts = await askEveryShard(entity, (shard) => featureShard(env, shard).foldedEvents());
            return [entity, counts.reduce((sum, events) => sum + events, 0)] as const;
          }),
        ),
      );
      const features = { folded: Object.fromEntries(folded) };
      return { events: { stored }, quarantine, outbox: { pending }, features, pruned };
    },
  };
}
