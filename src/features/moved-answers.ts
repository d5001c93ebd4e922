import { moveIn, ShardMoved } from './layout.ts';

/**
 * How `ShardMoved` crosses a call between objects: as an answer. The platform logs an exception that leaves an object as
 * uncaught and counts the call as failed, and that a shard names another one is neither.
 */
interface MovedAnswer {
  readonly shardMoved: Pick<ShardMoved, 'state' | 'shards'>;
}

/** Lets the methods of a class of objects answer `ShardMoved` in place of throwing it; `throwingMoves` is the other side. */
export function answerMoves({ prototype }: { readonly prototype: object }): void {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const method: unknown = Reflect.get(prototype, name);
    if (name === 'constructor' || typeof method !== 'function') continue;
    const answering = async function (this: unknown, ...sent: unknown[]): Promise<unknown> {
      try {
        return await Reflect.apply(method, this, sent);
      } catch (error) {
        const shardMoved = moveIn(error);
        if (shardMoved === undefined) throw error;
        return { shardMoved } satisfies MovedAnswer;
      }
    };
    Object.defineProperty(prototype, name, { value: answering, writable: true, configurable: true });
  }
}

/** A stub of an object whose methods throw the `ShardMoved` that they are answered. */
export function throwingMoves<Stub extends object>(stub: Stub): Stub {
  return new Proxy(stub, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function' || typeof name === 'symbol') return member;
      return async (...sent: unknown[]): Promise<unknown> => {
        const answer: unknown = await Reflect.apply(member, target, sent);
        const moved = moveOf(answer);
        if (moved !== undefined) throw new ShardMoved(moved.state, moved.shards);
        return answer;
      };
    },
  });
}

function moveOf(answer: unknown): MovedAnswer['shardMoved'] | undefined {
  if (typeof answer !== 'object' || answer === null || !('shardMoved' in answer)) return undefined;
  const { state, shards } = Object(answer.shardMoved) as Partial<MovedAnswer['shardMoved']>;
  if ((state !== 'copied' && state !== 'moved') || typeof shards !== 'number') return undefined;
  return { state, shards };
}
