const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of UTF-8 bytes, with a byte order mark if they begin with one. All bytes from outside become text here.
 *
 * @throws TypeError for other bytes: with replacement characters in their place, different bytes would become one text.
 */
export function decodeUtf8(bytes: ArrayBuffer | Uint8Array): string {
  return decoder.decode(bytes);
}

const BYTE_ORDER_MARK = '\ufeff';

/** The text of JSON from UTF-8 bytes. A byte order mark is ignored (RFC 8259 §8.1). @throws TypeError as `decodeUtf8`. */
export function decodeJsonText(bytes: ArrayBuffer | Uint8Array): string {
  const text = decodeUtf8(bytes);
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text;
}
