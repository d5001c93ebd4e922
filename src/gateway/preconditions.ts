import type { Precondition } from '../storage/postgres/entity-writes.ts';

/**
 * Preconditions of a write (RFC 9110 §13). The entity tag of a row is `"row-<version>"`, which a write's answer has. If
 * a view is served at the path of the write, the entity tag of its answer is accepted, too.
 */

/** The current representation at the path of the write, for comparison with the entity tag of a view. */
export interface Current {
  /** The version of the row, or null if there is none. It is read before the entity tag. */
  readonly version: () => Promise<string | null>;
  /** The entity tag of a strong read of the path; null if no view is served there. */
  readonly etag: () => Promise<string | null>;
}

/** The entity tag of a row. */
export function rowTag(version: string): string {
  return `"row-${version}"`;
}

/**
 * The precondition of a write, in terms of versions of its row, which the write's own transaction compares. A version
 * that was read before the view's entity tag is never newer than it, so a change in between fails the precondition.
 */
export async function preconditionOf(headers: Headers, current: Current): Promise<Precondition> {
  const read = onceOf(current);
  const match = await conditionOf(headers.get('if-match'), read, false);
  const noneMatch = await conditionOf(headers.get('if-none-match'), read, true);
  return { ...(match === undefined ? {} : { match }), ...(noneMatch === undefined ? {} : { noneMatch }) };
}

type ReadCurrent = () => Promise<{ readonly version: string | null; readonly etag: string | null }>;

function onceOf({ version, etag }: Current): ReadCurrent {
  let read: ReturnType<ReadCurrent> | undefined;
  return () => {
    read ??= version().then(async (before) => ({ version: before, etag: await etag() }));
    return read;
  };
}

/** @param isWeak whether weak entity tags match (§13.1.2); for `If-Match` they never do (§13.1.1). */
async function conditionOf(
  header: string | null,
  read: ReadCurrent,
  isWeak: boolean,
): Promise<Precondition['match']> {
  if (header === null) return undefined;
  if (header.trim() === '*') return '*';
  const tags = Array.from(header.matchAll(/(W\/)?("[^"]*")/g), ([, weak, tag = '']) =>
    weak === undefined || isWeak ? tag : '',
  );
  const versions = tags.flatMap((tag) => /^"row-(\d+)"$/.exec(tag)?.[1] ?? []);
  if (tags.some((tag) => tag !== '' && !tag.startsWith('"row-'))) {
    const { version, etag } = await read();
    if (version !== null && etag !== null && tags.includes(etag.replace(/^W\//, ''))) versions.push(version);
  }
  return versions;
}
