import { withTimeout } from '../platform/clock.ts';
import { Failure } from '../platform/failure.ts';
import { callPeer } from '../platform/peer.ts';

/** How long R2 may take to find an object, and to send or take its bytes, in milliseconds. */
const FIND_MS = 900;
const TRANSFER_MS = 20_000;
const STORE_RETRY_S = 5;
/** How often an object that others change meanwhile is written again. */
const REVISION_ATTEMPTS = 5;
/** How long a client may take to send an artifact, in milliseconds: 12 MiB at 2 Mbit/s. */
const UPLOAD_MS = 50_000;

/** Bytes by key in R2. */
export function r2Artifacts(bucket: Pick<R2Bucket, 'get' | 'head' | 'put'>) {
  return {
    async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const object = await callPeer('artifacts', FIND_MS, () => bucket.get(key));
      if (object === null) return undefined;
      return new Uint8Array(await callPeer('artifacts', TRANSFER_MS, () => object.arrayBuffer()));
    },
    /** An object while it is read; undefined if there is none. @throws Error if R2 does not answer. */
    async open(
      key: string,
    ): Promise<{ readonly body: ReadableStream<Uint8Array>; readonly bytes: number } | undefined> {
      const object = await callPeer('artifacts', FIND_MS, () => bucket.get(key));
      return object === null ? undefined : { body: object.body, bytes: object.size };
    },
    /** How long an object is; undefined if there is none. @throws Error if R2 does not answer. */
    async bytesOf(key: string): Promise<number | undefined> {
      return (await callPeer('artifacts', FIND_MS, () => bucket.head(key)))?.size;
    },
    /** @throws Failure `model_unavailable` if R2 does not answer. */
    async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
      try {
        await callPeer('artifacts', TRANSFER_MS, () => bucket.put(key, bytes));
      } catch (cause) {
        const detail =
          'The store of artifacts does not answer, and the version was not published. Send it again.';
        throw new Failure('model_unavailable', detail, { retryAfterS: STORE_RETRY_S, cause });
      }
    },
    /**
     * Writes an object unless it has a later revision. Of two writers at the same time the later revision stays.
     *
     * @throws Error if R2 does not answer.
     */
    async putRevision(key: string, bytes: Uint8Array<ArrayBuffer>, revision: number): Promise<void> {
      for (let attempt = 0; attempt < REVISION_ATTEMPTS; attempt += 1) {
        const there = await callPeer('artifacts', FIND_MS, () => bucket.head(key));
        if (Number(there?.customMetadata?.['revision'] ?? 0) >= revision) return;
        const onlyIf = there === null ? { etagDoesNotMatch: '*' } : { etagMatches: there.etag };
        const options = { customMetadata: { revision: String(revision) }, onlyIf };
        const put = await callPeer('artifacts', TRANSFER_MS, () => bucket.put(key, bytes, options));
        if (put !== null) return;
      }
      throw new Error(`Other writers changed ${key} ${REVISION_ATTEMPTS} times.`);
    },
  };
}

/**
 * Stores a body while it is read, without holding it. R2 checks the digest and stores the object when it has all of it,
 * so an upload that breaks off leaves nothing.
 *
 * @param sha256 in 64 hexadecimal digits.
 * @returns false if the body has another digest.
 * @throws Failure `incomplete_body` if the body breaks off; Error if R2 does not answer.
 */
export async function uploadToR2(
  bucket: Pick<R2Bucket, 'put'>,
  key: string,
  sha256: string,
  { body, bytes }: { readonly body: ReadableStream<Uint8Array>; readonly bytes: number },
): Promise<boolean> {
  const { readable, writable } = new FixedLengthStream(bytes);
  const digests = new crypto.DigestStream('SHA-256');
  // Its promise is rejected where the body breaks off, and nothing else may wait for it then.
  digests.digest.catch(() => undefined);
  const copied = copy(body, [writable.getWriter(), digests.getWriter()]);
  const stored = callPeer('artifacts', UPLOAD_MS, () => bucket.put(key, readable, { sha256 }));
  stored.catch(copied.stop);
  const [put, copying] = await Promise.allSettled([stored, copied.done]);
  if (put.status === 'fulfilled') return true;
  if (copying.status === 'rejected' && copying.reason instanceof Failure) throw copying.reason;
  if (copying.status === 'rejected' || toHex(await digests.digest) === sha256) throw put.reason;
  return false;
}

/**
 * Writes each chunk of a body to all writers before it reads the next.
 *
 * @returns `done`, and `stop`, which ends a copy that has not read the whole body yet.
 */
function copy(body: ReadableStream<Uint8Array>, writers: readonly WritableStreamDefaultWriter<Uint8Array>[]) {
  const reader = body.getReader();
  const abort = (reason: unknown) => {
    reader.cancel(reason).catch(() => undefined);
    for (const writer of writers) writer.abort(reason).catch(() => undefined);
  };
  let isRead = false;
  const all = async () => {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new Failure('incomplete_body', 'The connection ended before the body did. Upload it again.');
      });
      if (done) break;
      await Promise.all(writers.map((writer) => writer.write(value)));
    }
    isRead = true;
    await Promise.all(writers.map((writer) => writer.close()));
  };
  const late = () => new Error(`The body did not arrive within ${UPLOAD_MS} ms.`);
  const done = withTimeout(all(), UPLOAD_MS, late).catch((error: unknown) => {
    abort(error);
    throw error;
  });
  const stop = (reason: unknown) => {
    if (!isRead) abort(reason);
  };
  return { done, stop };
}

function toHex(digest: ArrayBuffer): string {
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
