import type { Header, Message, Placement } from './messages.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes; undefined for other bytes, which replacement characters would alter. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A record as it is stored. */
export interface StoredRecord {
  readonly key: Uint8Array | null | undefined;
  readonly value: Uint8Array | null | undefined;
  readonly headers: Iterable<StoredHeader>;
}
type StoredHeader = readonly [name: Uint8Array | null, value: Uint8Array | null];

/**
 * A record as a message of the protocol, which has texts. Kafka has bytes: a part that is not UTF-8 is an empty text,
 * and its bytes stand beside it in base64. So no record is altered, and none ends the answer that it is part of.
 */
export function messageOf(at: Placement, { key, value, headers }: StoredRecord): Message {
  const [keyText, valueText] = [textOf(key ?? EMPTY), textOf(value ?? EMPTY)];
  return {
    ...at,
    key: keyText.text,
    ...(keyText.base64 === undefined ? {} : { keyBase64: keyText.base64 }),
    value: value === null || value === undefined ? null : valueText.text,
    ...(valueText.base64 === undefined ? {} : { valueBase64: valueText.base64 }),
    headers: Array.from(headers, headerOf),
  };
}

const EMPTY = new Uint8Array();

function headerOf([name, value]: StoredHeader): Header {
  const [nameText, valueText] = [textOf(name ?? EMPTY), textOf(value ?? EMPTY)];
  return {
    key: nameText.text,
    ...(nameText.base64 === undefined ? {} : { keyBase64: nameText.base64 }),
    value: valueText.text,
    ...(valueText.base64 === undefined ? {} : { valueBase64: valueText.base64 }),
  };
}

function textOf(bytes: Uint8Array): { text: string; base64: string | undefined } {
  const text = utf8(bytes);
  if (text !== undefined) return { text, base64: undefined };
  return { text: '', base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') };
}
