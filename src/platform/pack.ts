/** Something with the length of its JSON, in bytes. */
export interface Sized<T> {
  readonly item: T;
  readonly bytes: number;
}

/** The item with the length of its JSON, and of what separates it from the next. */
export function sized<T>(item: T): Sized<T> {
  return { item, bytes: utf8Length(JSON.stringify(item)) + 1 };
}

/**
 * Splits items into groups of at most `maxBytes` and `maxItems`; an item that is larger alone makes a group of its
 * own. Order is kept.
 */
export function packBySize<T>(items: readonly Sized<T>[], maxBytes: number, maxItems: number): Sized<T[]>[] {
  const groups: { item: T[]; bytes: number }[] = [];
  for (const { item, bytes } of items) {
    const group = groups.at(-1);
    if (group !== undefined && group.bytes + bytes <= maxBytes && group.item.length < maxItems) {
      group.item.push(item);
      group.bytes += bytes;
    } else groups.push({ item: [item], bytes });
  }
  return groups;
}

const encoder = new TextEncoder();

/** How many bytes a text has in UTF-8. */
export function utf8Length(text: string): number {
  return encoder.encode(text).byteLength;
}
