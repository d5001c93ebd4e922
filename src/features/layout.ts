/**
 * Which shards have the keys of an entity. An entity begins with `SHARDS_PER_ENTITY` shards. When it gets more
 * (`move-shards.ts`), the keys of each shard move to shards of a layout with a greater number, and the shard itself keeps
 * where they are, for good. So a caller asks the first shard that can have a key and follows what it answers: no copy of
 * the layout anywhere else can be out of date.
 */

/** The number of shards that an entity begins with. It is part of the objects' names. */
export const SHARDS_PER_ENTITY = 8;
/** The most shards of an entity: a report on the features asks all of them. */
export const SHARDS_MAX = 128;

/** The numbers of shards by entity, for those that have not as many as at the beginning. */
export type Layouts = ReadonlyMap<string, number>;

/** The name of the shard that holds one key: `station/3`, or `station/3of16` in a layout of another number. */
export function shardOf(entity: string, key: string, shards: number = SHARDS_PER_ENTITY): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return nameOf(entity, (hash >>> 0) % shards, shards);
}

/** The names of all shards of an entity. */
export function shardsOf(entity: string, shards: number = SHARDS_PER_ENTITY): string[] {
  return Array.from({ length: shards }, (_, index) => nameOf(entity, index, shards));
}

/** The number of shards of the layout that a shard belongs to, by the shard's name. */
export function countOf(shard: string): number {
  const [, count] = /\/\d+of(\d+)$/.exec(shard) ?? [];
  return count === undefined ? SHARDS_PER_ENTITY : Number(count);
}

/** Asks all shards that an entity has now, whatever its layout is. */
export async function askEveryShard<T>(
  entity: string,
  ask: (shard: string) => Promise<T>,
  shards: number = SHARDS_PER_ENTITY,
): Promise<T[]> {
  const asked = await Promise.allSettled(shardsOf(entity, shards).map(ask));
  const failed = asked.filter((one) => one.status === 'rejected').map(({ reason }) => reason as unknown);
  const move = failed.map(moveIn).find((one) => one?.state === 'moved');
  // The new shards have all keys once the first old one has left its own.
  if (move !== undefined) return await askEveryShard(entity, ask, move.shards);
  if (failed.length > 0) throw failed[0];
  return asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function nameOf(entity: string, index: number, shards: number): string {
  return shards === SHARDS_PER_ENTITY ? `${entity}/${index}` : `${entity}/${index}of${shards}`;
}

/**
 * What a shard answers whose keys are elsewhere. With `moved` other shards have them, and this one neither reads nor folds.
 * With `copied` other shards are being filled with them: whoever folds an event here has to fold it there first, so that
 * they never lack what this one shows.
 */
export class ShardMoved extends Error {
  override readonly name = 'ShardMoved';
  readonly state: 'copied' | 'moved';
  /** The number of shards of the layout that has, or gets, the keys. */
  readonly shards: number;

  constructor(state: 'copied' | 'moved', shards: number) {
    super(
      `The keys of this shard ${state === 'moved' ? 'are' : 'are copied'} to a layout of ${shards} shards.`,
    );
    this.state = state;
    this.shards = shards;
  }
}

/** What such an answer says; undefined for any other error. An error that has crossed an RPC is not of its class. */
export function moveIn(error: unknown): Pick<ShardMoved, 'state' | 'shards'> | undefined {
  if (!(error instanceof Error) || error.name !== 'ShardMoved') return undefined;
  const state: unknown = Reflect.get(error, 'state');
  const shards: unknown = Reflect.get(error, 'shards');
  if ((state !== 'copied' && state !== 'moved') || typeof shards !== 'number') return undefined;
  return { state, shards };
}

/** What an isolate has learned from shards. A shard that has moved stays so, so this never becomes wrong. */
export class KnownMoves {
  readonly #moved = new Map<string, number>();
  readonly #copied = new Map<string, number>();

  /** The shard to ask for a key, as far as is known. */
  shardOf(entity: string, key: string, from: number = SHARDS_PER_ENTITY): string {
    for (let shards = from; ; ) {
      const shard = shardOf(entity, key, shards);
      const to = this.#moved.get(shard);
      if (to === undefined) return shard;
      shards = to;
    }
  }

  /** The layout into which an event has to be folded before it is folded into this shard; undefined if none is known. */
  copiedTo(shard: string): number | undefined {
    return this.#copied.get(shard);
  }

  /** @throws RangeError for a layout without more shards, which callers would follow for ever. */
  note(shard: string, { state, shards }: Pick<ShardMoved, 'state' | 'shards'>): void {
    if (shards <= countOf(shard)) throw new RangeError(`The shard ${shard} cannot move to ${shards} shards.`);
    if (state === 'copied') this.#copied.set(shard, shards);
    else {
      this.#moved.set(shard, shards);
      this.#copied.delete(shard);
    }
  }
}
