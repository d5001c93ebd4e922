import { callPeer } from '../platform/peer.ts';

/** How long R2 may take to find, list or delete objects, and to take a file, in milliseconds. */
const FIND_MS = 900;
const LIST_MS = 10_000;
const TRANSFER_MS = 60_000;
/** How long R2 may take to send the next piece of a file, in milliseconds. */
const PIECE_MS = 10_000;
/** Objects of one list, all of which one call deletes. */
const PAGE_OBJECTS = 1_000;

/** A part of a file: bytes from `offset` on, `length` of them. */
export interface FileRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The files of datasets in R2. Their keys are `datasets/<id>/<file>`.
 *
 * @param pieceMs how long R2 may take to send the next piece of a file.
 */
export function r2Datasets(
  bucket: Pick<R2Bucket, 'get' | 'put' | 'list' | 'delete'>,
  pieceMs: number = PIECE_MS,
) {
  return {
    /** Writing the same file again changes nothing. @throws Error if R2 does not answer. */
    async put(id: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
      await callPeer('artifacts', TRANSFER_MS, () => bucket.put(keyOf(id, name), bytes));
    },
    /** The body of a file, which is read while it is sent; undefined if there is none. */
    async open(id: string, name: string, range?: FileRange): Promise<ReadableStream | undefined> {
      const options = range === undefined ? {} : { range };
      const object = await callPeer('artifacts', FIND_MS, () => bucket.get(keyOf(id, name), options));
      return object === null ? undefined : inTime(object.body, pieceMs);
    },
    /** Deletes files of a dataset, at most a thousand. @returns whether more are left. */
    async removeSome(id: string): Promise<boolean> {
      const page = await callPeer('artifacts', LIST_MS, () =>
        bucket.list({ prefix: keyOf(id, ''), limit: PAGE_OBJECTS }),
      );
      const keys = page.objects.map(({ key }) => key);
      if (keys.length > 0) await callPeer('artifacts', LIST_MS, () => bucket.delete(keys));
      return page.truncated;
    },
  };
}

/** A body that fails if R2 does not send the next piece within the deadline. A slow reader may take its time. */
function inTime(body: ReadableStream<Uint8Array>, pieceMs: number): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await callPeer('artifacts', pieceMs, () => reader.read());
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          reader.cancel(error).catch(() => undefined);
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // A piece is read when it is asked for, so that the deadline is R2's and not the reader's.
    { highWaterMark: 0 },
  );
}

function keyOf(id: string, name: string): string {
  return `datasets/${id}/${name}`;
}
