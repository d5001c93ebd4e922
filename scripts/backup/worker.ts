import { type Client, ProblemError } from '../../src/client/index.ts';
import type { FeatureDefinition } from '../../src/define/feature.ts';
import { isWhole } from '../../src/features/backfill.ts';
import { PHASE_NAMES, PHASE_STATES } from '../../src/platform/phases.ts';
import type { Observed } from './export.ts';
import type { RestoringWorker } from './restore.ts';

/** The most events of a step of a rebuild that the route accepts. */
const PAGE_EVENTS_MAX = 2_000;

/** What the running worker says for a backup. */
export async function observed(
  client: Client,
  features: readonly FeatureDefinition[],
  now: number,
): Promise<Observed> {
  const { data } = await client.get('/v1/admin/phases');
  const { pruned } = (await client.get('/v1/admin/pipeline')).data;
  return {
    features: features.length > 0 ? await featuresOf(client) : null,
    lacking: features.filter((feature) => !isWhole(feature, pruned, now)).map(({ name }) => name),
    phases: PHASE_NAMES.map((phase) => ({ phase, state: data.phases[phase].state })).filter(
      ({ state }) => state !== 'on',
    ),
  };
}

/** The digest of the features as they are served. */
export async function featuresOf(client: Client): Promise<{ digest: string; cells: number }> {
  const { digest, cells } = (await client.get('/v1/admin/features/digest')).data;
  return { digest, cells };
}

/** An artifact of a model; undefined if the store does not have it. */
export async function fetchArtifact(client: Client, sha256: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await (await client.fetch(`/v1/admin/artifacts/${sha256}`)).arrayBuffer());
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not_found') return undefined;
    throw error;
  }
}

/** What the running worker does in a restore. */
export function restoringWorker(client: Client, hasFeatures: boolean): RestoringWorker {
  return {
    upload: async (sha256, bytes) => {
      await client.put('/v1/admin/artifacts/{sha256}', {
        ...{ path: { sha256 }, body: Uint8Array.from(bytes), contentType: 'application/octet-stream' },
        ...{ isRepeatable: true, idempotencyKey: false },
      });
    },
    rebuild: async () => {
      if (!hasFeatures) return null;
      const body = { rebuild: true, limit: PAGE_EVENTS_MAX };
      const step = async (restart: boolean) =>
        (await client.post('/v1/admin/replay', { body: { ...body, restart }, isRepeatable: true })).data;
      let page = await step(true);
      while (page.state !== 'done') page = await step(false);
      return await featuresOf(client);
    },
    beginEpoch: async () => {
      const { data } = await client.post('/v1/admin/cache/purge', {
        ...{ body: { epoch: 'new' }, isRepeatable: true },
      });
      return data.token;
    },
    switchPhases: async (phases) => {
      for (const { phase: name, state: told } of phases) {
        const phase = PHASE_NAMES.find((known) => known === name);
        const state = PHASE_STATES.find((known) => known === told);
        if (phase === undefined || state === undefined) continue;
        await client.put('/v1/admin/phases/{phase}', {
          ...{ path: { phase }, body: { state, reason: 'as in the restored backup' } },
        });
      }
    },
  };
}
