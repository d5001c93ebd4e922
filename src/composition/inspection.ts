import { type InspectedTier, inspectEntry } from '../cache/inspection.ts';
import { TIERS } from '../define/cache-policy.ts';
import type { InspectionPorts } from '../gateway/routes/admin-inspect.ts';
import { systemNow, systemTime } from '../platform/clock.ts';
import type { BoundIsolate } from './isolate.ts';
import type { RequestScope } from './request-scope.ts';

/** How long the names of tags are waited for, in milliseconds: they come from the origin, and an entry shows its hashes without them. */
const NAMES_MS = 900;

/** The ports of the route that inspects cached answers. */
export function inspectionPorts(bound: BoundIsolate, scope: RequestScope): InspectionPorts {
  return {
    inspect: async ({ key, policy, grainMs, names: known, read }) => {
      const { mirror } = bound.isolate.follower;
      const isKnown = await bound.newestToken(scope).then(
        () => true,
        () => false,
      );
      const clock = isKnown ? mirror.clock : undefined;
      const found = await Promise.all(
        TIERS.map(async (name) => {
          const tier = bound.tiers.find((of) => of.name === name);
          const isUsed = policy.tiers.includes(name);
          return { name, isUsed, entry: isUsed ? await tier?.get(key) : undefined };
        }),
      );
      const hasEntry = found.some(({ entry }) => entry !== undefined);
      const loaded = hasEntry && isKnown && read !== undefined ? await tagsOf(bound, read) : [];
      const at = { key, policy, grainMs, clock, nowMs: systemNow(), names: [...known, ...loaded] };
      const tiers = found.map(
        ({ name, isUsed, entry }): InspectedTier => ({
          tier: name,
          state: entry !== undefined ? 'entry' : isUsed ? 'none' : 'unused',
          entry: entry === undefined ? null : inspectEntry(entry, at),
        }),
      );
      return {
        clock:
          clock === undefined ? null : { epoch: clock.epoch, seq: clock.seq, floor: clock.changed.floorSeq },
        tiers,
      };
    },
  };
}

/** The tags of the answer as it is now. Its value is dropped here. */
async function tagsOf(
  bound: BoundIsolate,
  { view, request }: NonNullable<Parameters<InspectionPorts['inspect']>[0]['read']>,
): Promise<readonly string[]> {
  try {
    const late = () => new Error('The origin did not answer in time.');
    const loading = bound.load(view, request, systemNow());
    return (await systemTime.withTimeout(loading, NAMES_MS, late)).tags;
  } catch {
    return [];
  }
}
