import { callPeer } from '../platform/peer.ts';

/** How long R2 may take to find objects, and to send or take their bytes, in milliseconds. */
const FIND_MS = 2_000;
const TRANSFER_MS = 20_000;

/** What is kept of training runs in R2. Its keys are `training/<run>/<name>`. */
export function r2Training(bucket: Pick<R2Bucket, 'get' | 'put' | 'delete'>) {
  return {
    async get(run: string, name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const object = await callPeer('artifacts', FIND_MS, () => bucket.get(keyOf(run, name)));
      if (object === null) return undefined;
      return new Uint8Array(await callPeer('artifacts', TRANSFER_MS, () => object.arrayBuffer()));
    },
    async put(run: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
      await callPeer('artifacts', TRANSFER_MS, () => bucket.put(keyOf(run, name), bytes));
    },
    async remove(run: string, names: readonly string[]): Promise<void> {
      const keys = names.map((name) => keyOf(run, name));
      await callPeer('artifacts', TRANSFER_MS, () => bucket.delete(keys));
    },
  };
}

function keyOf(run: string, name: string): string {
  return `training/${run}/${name}`;
}
