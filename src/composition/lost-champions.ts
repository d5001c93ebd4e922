import { replaceIfLost } from '../inference/lost-champion.ts';
import { parseManifest } from '../inference/registry.ts';
import { log } from '../platform/logger.ts';
import { r2Artifacts } from '../storage/artifacts.ts';
import type { BoundIsolate } from './isolate.ts';
import { modelRegistryPorts } from './models.ts';

/** Who the registry and the audit log say did it. */
const PRINCIPAL = 'system:artifacts';

/** Lets the alias `champion` of each model name the version before, where the champion's artifacts are lost. */
export async function replaceLostChampions(
  bound: BoundIsolate,
  keepAlive: (work: Promise<unknown>) => void,
): Promise<void> {
  const { env, isolate, registry } = bound;
  const { point } = modelRegistryPorts(bound, keepAlive);
  for (const { name } of isolate.catalog.models) {
    const verdict = await replaceIfLost(name, {
      champion: async (model) => {
        const found = await registry.champion(model);
        if (found === undefined || found.manifest === null) return undefined;
        const parsed = (text: string) => parseManifest(model, JSON.parse(text));
        const previous = found.previous === null ? null : parsed(found.previous);
        return { manifest: parsed(found.manifest), previous };
      },
      bytesOf: r2Artifacts(env.MODELS).bytesOf,
      moveBack: async (model, expected, version) => {
        const target = { model, alias: 'champion', version, expected, reason: 'rollback' } as const;
        return (await point(target, PRINCIPAL)) !== undefined;
      },
    });
    if (verdict === 'there') continue;
    const message =
      verdict === 'no_other'
        ? 'An artifact of the champion is lost, and no version before it has all of its own. Publish it again.'
        : 'An artifact of the champion is lost, so the version before answers.';
    log('error', message, {
      'event.action': 'lost-champion',
      'millrace.model.name': name,
      'event.outcome': verdict,
    });
  }
}
