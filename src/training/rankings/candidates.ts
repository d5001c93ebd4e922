/** Makes a ranking's candidates as of each moment of a run, and as of its own. */
import type { Candidates, EntityItems } from '../../define/candidates.ts';
import { labelPages } from '../datasets/label-pages.ts';
import { TrainingRefused } from '../refusal.ts';
import { RUN_LIMITS } from '../runs/limits.ts';
import type { Pieces } from '../runs/pieces.ts';
import type { KeptName } from '../runs/ports.ts';
import { ItemHistory } from './item-history.ts';
import { LIST_LENGTH } from './lists.ts';
import { bytesOfCandidates, jsonBytes, type RankingWork } from './work.ts';

/** What an entity took most often before a moment, by its key: the list that a ranking has to beat. */
export type Repeats = Readonly<Record<string, readonly string[]>>;

/** Reads the label events once, then makes and keeps one file in a piece. */
export async function* candidatePieces(work: RankingWork): Pieces<void> {
  const { definition, recipe, make, manifest, moments, run, ports } = work;
  const history = new ItemHistory();
  // Also of what happened before the rows.
  const spec = { ...manifest.spec, from: null };
  for await (const { touches, events } of labelPages(recipe, spec, ports.history)) {
    for (const touch of touches) history.add(touch);
    if (history.size > RUN_LIMITS.itemEventsMax)
      throw new TrainingRefused(
        'training_too_large',
        `There are more than ${RUN_LIMITS.itemEventsMax} events that name an item; candidates are made in memory.`,
      );
    yield { cost: { rows: events } };
  }
  const of = moments.length + 1;
  const keep = async (name: KeptName, bytes: Uint8Array<ArrayBuffer>, done: number) => {
    await ports.kept.put(run.id, name, bytes);
    return { progress: { done, of } };
  };
  for (const [place, { at, split }] of moments.entries()) {
    const made = make(history.before(at), at);
    yield await keep(`candidates-${place}`, bytesOfCandidates(made), place + 1);
    if (split !== 'test') continue;
    const repeats = repeatsOf(history.before(at), definition.parseCandidates(made));
    yield await keep(`repeats-${place}`, jsonBytes(repeats), place + 1);
  }
  yield await keep('candidates', bytesOfCandidates(make(history.before(run.asOf), run.asOf)), of);
}

function repeatsOf(history: Iterable<EntityItems>, candidates: Candidates): Repeats {
  const repeats: Record<string, readonly string[]> = {};
  for (const { key, events } of history) {
    const counts = new Map<string, { times: number; last: number }>();
    for (const { item, at } of events) {
      if (!candidates.has(item)) continue;
      const before = counts.get(item);
      counts.set(item, { times: (before?.times ?? 0) + 1, last: at });
    }
    if (counts.size === 0) continue;
    repeats[key] = [...counts]
      .sort(([a, one], [b, other]) => other.times - one.times || other.last - one.last || (a < b ? -1 : 1))
      .slice(0, LIST_LENGTH)
      .map(([item]) => item);
  }
  return repeats;
}
