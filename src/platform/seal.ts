import { secureBytes } from './random-bytes.ts';

const IV_BYTES = 12;
const ALGORITHM = 'AES-GCM';

/** Bytes that only a holder of the secret can read: AES-256-GCM (NIST SP 800-38D) under a key of HKDF (RFC 5869). */
export async function seal(
  secret: string,
  purpose: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<ArrayBuffer> {
  const iv = Uint8Array.from(secureBytes(IV_BYTES));
  const key = await keyOf(secret, purpose);
  const sealed = await crypto.subtle.encrypt({ name: ALGORITHM, iv }, key, bytes);
  const all = new Uint8Array(IV_BYTES + sealed.byteLength);
  all.set(iv);
  all.set(new Uint8Array(sealed), IV_BYTES);
  return all.buffer;
}

/** @throws Error if the bytes were not sealed with this secret for this purpose. */
export async function unseal(secret: string, purpose: string, sealed: ArrayBuffer): Promise<Uint8Array> {
  const iv = new Uint8Array(sealed, 0, IV_BYTES);
  const key = await keyOf(secret, purpose);
  const content = new Uint8Array(sealed, IV_BYTES);
  return new Uint8Array(await crypto.subtle.decrypt({ name: ALGORITHM, iv }, key, content));
}

async function keyOf(secret: string, purpose: string): Promise<CryptoKey> {
  const encoder = new TextEncoder();
  const base = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, ['deriveKey']);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: encoder.encode(purpose) };
  return await crypto.subtle.deriveKey(hkdf, base, { name: ALGORITHM, length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
}
