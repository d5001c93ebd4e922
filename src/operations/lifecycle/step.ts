import type { RetentionPolicy } from '../../define/retention.ts';
import { log } from '../../platform/logger.ts';
import { agedArtifacts, agedProfiles, type Candidate, Counts, withPage } from './walk.ts';

/** Pages of R2 that one step looks at. Each is one list, at most two deletions and at most six statements. */
export const PAGES_MAX = 5;
/** Removals that were interrupted, which one step finishes. */
const UNFINISHED_MAX = 500;
/** Datasets that one walk removes: a call of their object each. */
const DATASETS_MAX = 100;
/** Calls for training runs in one walk; each removes at most ten. */
const TRAINING_CALLS_MAX = 5;
const DAY_MS = 86_400_000;
/** Nothing that is younger is removed, in days: an upload may be that of a version which is registered soon. */
const KEEP_DAYS_MIN = 2;

type Store = 'artifacts' | 'datasets' | 'drift';

/** What is known of a dataset that may be removed. */
export interface UnusedDataset {
  readonly id: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The effects of a step. Each ends within its own deadline, and may be repeated. */
export interface LifecyclePorts {
  readonly now: () => number;
  readonly policy: RetentionPolicy;
  /** Takes the walk; undefined if none is due, or another step has it. */
  readonly lease: (
    now: string,
  ) => Promise<
    { readonly lease: string; readonly cursor: string | null; readonly counts: unknown } | undefined
  >;
  /** @returns whether this step still has the walk. */
  readonly advance: (
    leased: { readonly lease: string },
    to: { readonly cursor: string; readonly counts: Counts; readonly isOver: boolean },
    now: string,
  ) => Promise<boolean>;
  readonly endLease: (leased: { readonly lease: string }, now: string) => Promise<void>;
  readonly page: (after: string) => Promise<{
    readonly objects: readonly { readonly key: string; readonly bytes: number; readonly writtenMs: number }[];
    readonly hasMore: boolean;
  }>;
  /**
   * The artifacts that the copies of the champions' manifests in R2 name. A copy answers while the database does not, and
   * that of a version which was published before there was a registry always does.
   */
  readonly copied: () => Promise<readonly string[]>;
  readonly removeObjects: (keys: readonly string[]) => Promise<void>;
  /** Each claims those that nothing needs, and records them as being removed. @returns their ids. */
  readonly claim: {
    readonly artifacts: (of: readonly Candidate[], now: string) => Promise<readonly string[]>;
    readonly drift: (of: readonly Candidate[], now: string) => Promise<readonly string[]>;
    readonly datasets: (of: readonly UnusedDataset[], max: number, now: string) => Promise<readonly string[]>;
  };
  readonly unfinished: (max: number) => Promise<readonly (UnusedDataset & { readonly store: Store })[]>;
  readonly ended: (store: Store, ids: readonly string[], now: string) => Promise<void>;
  readonly dropped: (store: Store, ids: readonly string[]) => Promise<void>;
  readonly forgetRemovals: (now: string) => Promise<void>;
  readonly datasets: {
    readonly unused: (beforeMs: number) => Promise<readonly UnusedDataset[]>;
    /** @returns false if somebody has used it meanwhile. */
    readonly expire: (id: string, beforeMs: number) => Promise<boolean>;
  };
  readonly training: {
    /** @returns the moments at which the runs ended whose files are gone; ten if there may be more. */
    readonly expire: (beforeMs: number) => Promise<readonly number[]>;
    /** Which of some datasets a run still needs. */
    readonly needed: (datasets: readonly string[]) => Promise<readonly string[]>;
    readonly note: (runs: number, until: string) => Promise<void>;
  };
}

/**
 * A bounded step of the walk over R2 that counts what is kept, and removes what is over its declared retention: first what
 * an earlier step has left behind, at the beginning of a walk files of training runs and datasets, then page after page
 * artifacts and profiles.
 *
 * Whatever is removed is recorded first, by a statement that checks that nothing needs it. A step that is interrupted has
 * recorded more than it has removed, and the next one goes on.
 *
 * @returns whether there is more to do now.
 */
export async function lifecycleStep(ports: LifecyclePorts): Promise<boolean> {
  const now = () => new Date(ports.now()).toISOString();
  const leased = await ports.lease(now());
  if (leased === undefined) return false;
  await finish(ports);
  if (leased.cursor === null) {
    await expireTraining(ports);
    await expireDatasets(ports);
    await ports.forgetRemovals(now());
  }
  let cursor = leased.cursor ?? '';
  let counts = leased.cursor === null ? {} : Counts.parse(leased.counts);
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const { objects, hasMore } = await ports.page(cursor);
    await cleanPage(ports, objects);
    cursor = objects.at(-1)?.key ?? cursor;
    counts = withPage(counts, objects);
    if (!(await ports.advance(leased, { cursor, counts, isOver: !hasMore }, now()))) return false;
    if (hasMore) continue;
    await ports.endLease(leased, now());
    return false;
  }
  await ports.endLease(leased, now());
  return true;
}

/** The moment before which something is over its retention; undefined if it is kept for ever. */
function before({ now }: Pick<LifecyclePorts, 'now'>, days: number | undefined): number | undefined {
  return days === undefined ? undefined : now() - Math.max(days, KEEP_DAYS_MIN) * DAY_MS;
}

async function cleanPage(
  ports: LifecyclePorts,
  objects: Awaited<ReturnType<LifecyclePorts['page']>>['objects'],
): Promise<void> {
  const beforeMs = before(ports, ports.policy.models);
  if (beforeMs === undefined) return;
  const now = new Date(ports.now()).toISOString();
  const aged = agedArtifacts(objects, beforeMs);
  const copied = new Set(aged.length === 0 ? [] : await ports.copied());
  const artifacts = aged.filter(({ id }) => !copied.has(id));
  if (artifacts.length > 0)
    await removed(ports, 'artifacts', await ports.claim.artifacts(artifacts, now), now);
  const profiles = agedProfiles(objects, beforeMs);
  if (profiles.length > 0) await removed(ports, 'drift', await ports.claim.drift(profiles, now), now);
}

async function removed(
  ports: LifecyclePorts,
  store: 'artifacts' | 'drift',
  ids: readonly string[],
  now: string,
): Promise<void> {
  if (ids.length === 0) return;
  await ports.removeObjects(ids.map((id) => (store === 'drift' ? `drift/${id}.json` : `artifacts/${id}`)));
  await ports.ended(store, ids, now);
  note(store, ids.length);
}

/** Finishes what was recorded by a step that did not come to its end. */
async function finish(ports: LifecyclePorts): Promise<void> {
  const left = Map.groupBy(await ports.unfinished(UNFINISHED_MAX), ({ store }) => store);
  const now = new Date(ports.now()).toISOString();
  const ids = (store: Store) => (left.get(store) ?? []).map(({ id }) => id);
  await removed(ports, 'artifacts', ids('artifacts'), now);
  await removed(ports, 'drift', ids('drift'), now);
  // A version that names a dataset may have been registered since; artifacts that are being removed are refused there.
  const datasets = left.get('datasets') ?? [];
  if (datasets.length === 0) return;
  const free = new Set(await ports.claim.datasets(datasets, datasets.length, now));
  // Without a declared retention nobody knows from when on one counts as used, so only those that are gone are ended.
  await endDatasets(ports, [...free], before(ports, ports.policy.datasets) ?? 0);
  const named = datasets.map(({ id }) => id).filter((id) => !free.has(id));
  if (named.length > 0) await ports.dropped('datasets', named);
}

async function expireTraining(ports: LifecyclePorts): Promise<void> {
  const beforeMs = before(ports, ports.policy.training);
  if (beforeMs === undefined) return;
  for (let calls = 0; calls < TRAINING_CALLS_MAX; calls += 1) {
    const ended = await ports.training.expire(beforeMs);
    if (ended.length === 0) return;
    await ports.training.note(ended.length, new Date(Math.max(...ended)).toISOString());
    note('training', ended.length);
  }
}

async function expireDatasets(ports: LifecyclePorts): Promise<void> {
  const beforeMs = before(ports, ports.policy.datasets);
  if (beforeMs === undefined) return;
  const unused = await ports.datasets.unused(beforeMs);
  if (unused.length === 0) return;
  // Runs before versions: a run registers its version before it ends, so one of the two names the dataset.
  const needed = new Set(await ports.training.needed(unused.map(({ id }) => id)));
  const free = unused.filter(({ id }) => !needed.has(id));
  const now = new Date(ports.now()).toISOString();
  if (free.length > 0)
    await endDatasets(ports, await ports.claim.datasets(free, DATASETS_MAX, now), beforeMs);
}

async function endDatasets(ports: LifecyclePorts, ids: readonly string[], beforeMs: number): Promise<void> {
  const [gone, used]: [string[], string[]] = [[], []];
  for (const id of ids) ((await ports.datasets.expire(id, beforeMs)) ? gone : used).push(id);
  if (used.length > 0) await ports.dropped('datasets', used);
  if (gone.length === 0) return;
  await ports.ended('datasets', gone, new Date(ports.now()).toISOString());
  note('datasets', gone.length);
}

function note(store: Store | 'training', count: number): void {
  log('info', `Retention deleted old ${store}.`, { 'event.action': 'retention', 'millrace.count': count });
}
