/** A random identifier (UUID version 4, RFC 9562). */
export function newId(): string {
  return crypto.randomUUID();
}
