import { callPeer } from '../platform/peer.ts';

/** How long R2 may take to list or delete objects, in milliseconds. */
const LIST_MS = 10_000;
/** Objects of one list, all of which one call deletes: as many as R2 allows. */
const PAGE_OBJECTS = 1_000;

/** An object of R2. */
export interface KeptObject {
  readonly key: string;
  readonly bytes: number;
  /** When it was written last, in milliseconds since the Unix epoch. */
  readonly writtenMs: number;
}

/** The keys of the whole bucket in their order, for the walk that counts them and removes what is over its retention. */
export function r2Walk(bucket: Pick<R2Bucket, 'list' | 'delete'>) {
  return {
    /** The objects after a key. @throws Error if R2 does not answer. */
    async page(
      after: string,
    ): Promise<{ readonly objects: readonly KeptObject[]; readonly hasMore: boolean }> {
      const start = after === '' ? {} : { startAfter: after };
      const { objects, truncated } = await callPeer('artifacts', LIST_MS, () =>
        bucket.list({ ...start, limit: PAGE_OBJECTS }),
      );
      const kept = objects.map(({ key, size, uploaded }) => ({
        ...{ key, bytes: size, writtenMs: uploaded.getTime() },
      }));
      return { objects: kept, hasMore: truncated };
    },
    /** Deletes objects, at most a thousand; one that is not there is no error. @throws Error if R2 does not answer. */
    async remove(keys: readonly string[]): Promise<void> {
      await callPeer('artifacts', LIST_MS, () => bucket.delete([...keys]));
    },
  };
}
