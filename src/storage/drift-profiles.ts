import { callPeer } from '../platform/peer.ts';
import { decodeUtf8 } from '../platform/utf8.ts';

/** How long R2 may take to find, send or take a profile, in milliseconds: it has some kilobytes. */
const R2_MS = 5_000;

/** The drift profiles of versions in R2, as JSON. Their keys are `drift/<model>/<version>.json`. */
export function r2Profiles(bucket: Pick<R2Bucket, 'get' | 'put'>) {
  return {
    /** Undefined if the version has none. */
    async get(model: string, version: string): Promise<string | undefined> {
      return await callPeer('artifacts', R2_MS, async () => {
        const object = await bucket.get(keyOf(model, version));
        return object === null ? undefined : decodeUtf8(await object.arrayBuffer());
      });
    },
    async put(model: string, version: string, profile: string): Promise<void> {
      await callPeer('artifacts', R2_MS, () => bucket.put(keyOf(model, version), profile));
    },
  };
}

function keyOf(model: string, version: string): string {
  return `drift/${model}/${version}.json`;
}
