import type { OutgoingMessage } from './messages.ts';

/**
 * MurmurHash2 of 32 bits with the seed of Kafka's clients (`org.apache.kafka.common.utils.Utils.murmur2`), as a
 * signed integer. Austin Appleby's algorithm, with its constants m = 0x5bd1e995 and r = 24.
 */
export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const whole = data.length & ~3;
  let h = 0x9747b28c ^ data.length;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(view.getInt32(at, true), m);
    k = Math.imul(k ^ (k >>> 24), m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = data.length - whole;
  if (rest > 2) h ^= view.getUint8(whole + 2) << 16;
  if (rest > 1) h ^= view.getUint8(whole + 1) << 8;
  if (rest > 0) h = Math.imul(h ^ view.getUint8(whole), m);
  h = Math.imul(h ^ (h >>> 13), m);
  return h ^ (h >>> 15);
}

/**
 * The partition of a message: the one that it names; else the one of its key, as Kafka's default partitioner computes
 * it (`toPositive(murmur2(key)) % partitions`); else the one that the request's keyless messages share (KIP-480).
 */
export function partitionOf(message: OutgoingMessage, partitions: number, keyless: number): number {
  if (message.partition !== undefined) return message.partition;
  if (message.key === null) return keyless % partitions;
  return (murmur2(Buffer.from(message.key)) & 0x7fffffff) % partitions;
}
