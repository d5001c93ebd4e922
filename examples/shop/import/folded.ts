import type { Reporter } from '../../../scripts/progress.ts';
import { answerOf, type Pipeline, type Server } from './server.ts';

/** Changes are folded within a second of being stored, unless the server is behind. */
const POLL_MS = 1_000;
const NOTICE_MS = 10_000;
/** Counts that stand still for this long will not move by waiting. */
const STALL_MS = 45_000;

/** Events by the entity whose features fold them. */
export type Foldable = Readonly<Record<string, number>>;

/** What became of the features of the stored events. */
export interface Folding {
  /** Changes, of any source, that are still to be relayed. */
  readonly pending: number;
  /** Events of the import that are stored and that no feature has counted yet. */
  readonly unfolded: number;
  /** Milliseconds of waiting. */
  readonly ms: number;
}

interface FoldDeps {
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly reporter: Pick<Reporter, 'notice'>;
}

/** How many events the features have folded before an import; null if the signal was aborted. */
export async function foldedBefore(server: Server): Promise<Foldable | null> {
  return answerOf(await server.pipeline())?.features.folded ?? null;
}

/**
 * Waits until everything that was stored is relayed, and the features have folded as many more events as the import
 * stored. The changes on their way to the features are in a queue, which a local stack keeps in memory.
 *
 * @returns what is missing when nothing has moved for {@link STALL_MS}, or when the server does not say.
 */
export async function waitUntilFolded(
  server: Server,
  before: Foldable,
  stored: Foldable,
  { now, sleep, reporter }: FoldDeps,
  signal: AbortSignal,
): Promise<Folding | null> {
  const startedAt = now();
  let folding: Folding | null = null;
  let movedAt = startedAt;
  let noticedAt = startedAt;
  for (;;) {
    const answer = await server.pipeline();
    if (answer.kind !== 'answered') return folding;
    const { pending, unfolded } = leftOf(answer.value, before, stored);
    if (folding === null || pending !== folding.pending || unfolded !== folding.unfolded) movedAt = now();
    folding = { pending, unfolded, ms: now() - startedAt };
    if ((pending === 0 && unfolded === 0) || now() - movedAt >= STALL_MS) return folding;
    if (now() - noticedAt >= NOTICE_MS) {
      noticedAt = now();
      const [changes, events] = [pending, unfolded].map((count) => count.toLocaleString('en-US'));
      reporter.notice(
        `All lines are stored; ${changes} changes are still to be relayed, and ${events} events to be folded into features.`,
      );
    }
    await sleep(POLL_MS, signal);
  }
}

function leftOf({ outbox, features }: Pipeline, before: Foldable, stored: Foldable) {
  const left = Object.entries(stored).map(
    ([entity, events]) => events - ((features.folded[entity] ?? 0) - (before[entity] ?? 0)),
  );
  return { pending: outbox.pending, unfolded: Math.max(0, ...left) };
}
