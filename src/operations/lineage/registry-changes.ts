import * as z from 'zod';
import type { StoredRun } from '../../storage/postgres/lineage-read.ts';

/** The facts of a change of the registry, as its run stores them (`src/storage/postgres/lineage-registry.ts`). */
export const RegistryDetail = z.object({
  action: z.enum(['register', 'publish', 'promote', 'rollback', 'set', 'clear', 'retire', 'rollout']),
  /** The version that the alias named before; null for none, and for a change that concerns no alias. */
  before: z.string().nullable().default(null),
});

const RELATIONS = {
  register: 'registered',
  publish: 'published',
  promote: 'promoted',
  rollback: 'rolled-back-to',
  set: 'named',
  clear: 'cleared',
  retire: 'retired',
  rollout: 'rolled-out',
} as const satisfies Record<z.output<typeof RegistryDetail>['action'], string>;

/** How a version follows from a change of the registry. */
export function changeRelation({ detail }: Pick<StoredRun, 'detail'>): string {
  return RELATIONS[RegistryDetail.parse(detail).action];
}
