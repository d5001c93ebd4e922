import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RequestError } from '../../errors.ts';
import { type Position, partitionKey, type TopicPartition } from '../../messages.ts';
import { replaceFile } from './files.ts';

/** The most groups whose offsets are kept. Each is a file; more groups suggest that a client generates names. */
const GROUPS_MAX = 1_000;
const FILE_SUFFIX = '.json';

interface Commit {
  positions: readonly Position[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface GroupOffsets {
  offsets: ReadonlyMap<string, Position>;
  pending: Commit[];
  saving: Promise<void> | undefined;
}

/**
 * The committed offsets of each consumer group: one file for each, replaced atomically, so a crash leaves the old or
 * the new content.
 */
export class CommittedOffsets {
  readonly #folder: string;
  readonly #groups: Map<string, GroupOffsets>;

  private constructor(folder: string, groups: Map<string, GroupOffsets>) {
    this.#folder = folder;
    this.#groups = groups;
  }

  static async open(folder: string): Promise<CommittedOffsets> {
    await mkdir(folder, { recursive: true });
    const groups = new Map<string, GroupOffsets>();
    for (const name of await readdir(folder)) {
      if (!name.endsWith(FILE_SUFFIX)) continue;
      const stored = parseStored(await readFile(join(folder, name), 'utf8'));
      if (stored === undefined) throw new Error(`${join(folder, name)} has no committed offsets in it.`);
      const offsets = new Map(stored.offsets.map((position) => [partitionKey(position), position]));
      groups.set(stored.group, { offsets, pending: [], saving: undefined });
    }
    return new CommittedOffsets(folder, groups);
  }

  get(group: string, partition: TopicPartition): number | undefined {
    return this.#groups.get(group)?.offsets.get(partitionKey(partition))?.offset;
  }

  /** Resolves once the offsets are on disk. Commits that arrive during a write share the next write. */
  async commit(group: string, positions: readonly Position[]): Promise<void> {
    let state = this.#groups.get(group);
    if (state === undefined) {
      if (this.#groups.size >= GROUPS_MAX) {
        throw new RequestError(
          507,
          `Offsets are kept for ${GROUPS_MAX} consumer groups, and there are no more.`,
        );
      }
      state = { offsets: new Map(), pending: [], saving: undefined };
      this.#groups.set(group, state);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    state.pending.push({ positions, resolve, reject });
    state.saving ??= this.#save(group, state);
    await promise;
  }

  async close(): Promise<void> {
    for (const state of this.#groups.values()) await state.saving;
  }

  async #save(group: string, state: GroupOffsets): Promise<void> {
    const path = join(this.#folder, fileName(group));
    while (state.pending.length > 0) {
      const batch = state.pending.splice(0);
      const next = new Map(state.offsets);
      for (const { topic, partition, offset } of batch.flatMap(({ positions }) => positions)) {
        next.set(partitionKey({ topic, partition }), { topic, partition, offset });
      }
      try {
        await replaceFile(path, `${JSON.stringify({ group, offsets: [...next.values()] })}\n`);
        state.offsets = next;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    state.saving = undefined;
  }
}

/** Hashes a group's name, because it may have characters that file names do not allow. */
function fileName(group: string): string {
  return `${createHash('sha256').update(group).digest('hex')}${FILE_SUFFIX}`;
}

function parseStored(text: string): { group: string; offsets: Position[] } | undefined {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof stored !== 'object' || stored === null || !('group' in stored) || !('offsets' in stored))
    return undefined;
  const { group, offsets } = stored;
  if (typeof group !== 'string' || !Array.isArray(offsets)) return undefined;
  const valid = offsets.every(
    (one: Partial<Position> | null) =>
      typeof one?.topic === 'string' && Number.isInteger(one.partition) && Number.isInteger(one.offset),
  );
  return valid ? { group, offsets } : undefined;
}
