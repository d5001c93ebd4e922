import { callPeer } from '../platform/peer.ts';
import { decodeUtf8 } from '../platform/utf8.ts';

/** How long R2 may take to list or delete objects, and to send or take a file, in milliseconds. */
const LIST_MS = 10_000;
const TRANSFER_MS = 15_000;
/** Objects of one list, all of which one call deletes. */
const PAGE_OBJECTS = 1_000;

const PREFIX = 'served/';

/** A page of the names of files, in the order of time. */
export interface ServedPage {
  readonly keys: readonly string[];
  readonly hasMore: boolean;
}

/**
 * The files of the log of served predictions in R2. Their keys are `served/<day>/<time>-<id>.jsonl`, in UTC, so their order
 * is that of the times at which they were written. The lines are those of `src/inference/feedback/record.ts`. This is the only
 * module that knows where they are.
 */
export function r2ServedLog(bucket: Pick<R2Bucket, 'get' | 'put' | 'list' | 'delete'>) {
  const page = async (options: R2ListOptions): Promise<ServedPage> => {
    const { objects, truncated } = await callPeer('artifacts', LIST_MS, () => bucket.list(options));
    return { keys: objects.map(({ key }) => key), hasMore: truncated };
  };
  return {
    /** @throws Error if R2 does not answer. */
    async put(atMs: number, id: string, text: string): Promise<void> {
      await callPeer('artifacts', TRANSFER_MS, () => bucket.put(`${servedBefore(atMs)}-${id}.jsonl`, text));
    },
    /** The files after a key, or after a moment as `servedBefore` writes it. */
    async list(after: string, limit: number): Promise<ServedPage> {
      return await page({ prefix: PREFIX, startAfter: after, limit });
    },
    /** The text of a file; undefined if it was removed, or is no text: nothing waits for a file that somebody broke. */
    async read(key: string): Promise<string | undefined> {
      const object = await callPeer('artifacts', TRANSFER_MS, () => bucket.get(key));
      if (object === null) return undefined;
      const bytes = await callPeer('artifacts', TRANSFER_MS, () => object.arrayBuffer());
      try {
        return decodeUtf8(bytes);
      } catch {
        return undefined;
      }
    },
    /** Writes a file anew, with other lines or without some. */
    async rewrite(key: string, text: string): Promise<void> {
      await callPeer('artifacts', TRANSFER_MS, () => bucket.put(key, text));
    },
    /** Deletes files that were written before a moment, at most a thousand. @returns how many. */
    async removeBefore(atMs: number): Promise<number> {
      const { keys } = await page({ prefix: PREFIX, limit: PAGE_OBJECTS });
      const old = keys.filter((key) => key < servedBefore(atMs));
      if (old.length > 0) await callPeer('artifacts', LIST_MS, () => bucket.delete(old));
      return old.length;
    },
  };
}

/** What the keys of files that are written at a moment begin with. */
export function servedBefore(atMs: number): string {
  const [day = '', time = ''] = new Date(atMs).toISOString().split('T');
  return `${PREFIX}${day}/${time.replaceAll(/[:.]/g, '')}`;
}
