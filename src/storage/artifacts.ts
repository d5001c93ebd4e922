import { callPeer } from '../platform/peer.ts';

/** How long R2 may take to find an object, and to send or take its bytes, in milliseconds. */
const FIND_MS = 900;
const TRANSFER_MS = 20_000;

/** Bytes by key in R2. */
export function r2Artifacts(bucket: R2Bucket) {
  return {
    async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const object = await callPeer('artifacts', FIND_MS, () => bucket.get(key));
      if (object === null) return undefined;
      return new Uint8Array(await callPeer('artifacts', TRANSFER_MS, () => object.arrayBuffer()));
    },
    async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
      await callPeer('artifacts', TRANSFER_MS, () => bucket.put(key, bytes));
    },
  };
}
