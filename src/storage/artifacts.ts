/** Bytes by key in R2. */
export function r2Artifacts(bucket: R2Bucket) {
  return {
    async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const object = await bucket.get(key);
      return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
    },
    async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
      await bucket.put(key, bytes);
    },
  };
}
