/**
 * What JSON in JavaScript can hold and Postgres' jsonb cannot: NUL, unpaired surrogates, and numbers that were too
 * large to be read as one (`1e400` is read as infinite, and would be written as null).
 */

/** The JSON Pointer (RFC 6901) to the first such value or member name, or undefined where there is none. */
export function unstorableAt(value: unknown, pointer = ''): string | undefined {
  if (typeof value === 'string') return isStorableText(value) ? undefined : pointer;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : pointer;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    if (!isStorableText(name)) return pointer;
    const found = unstorableAt(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Replaces what cannot be stored: characters by U+FFFD, numbers by their names (`Infinity`). */
export function withoutUnstorable(raw: unknown): unknown {
  const clean = (text: string) => text.toWellFormed().replaceAll('\u0000', '\uFFFD');
  return JSON.parse(
    JSON.stringify(raw ?? null, (_, value: unknown) => {
      if (typeof value === 'string') return clean(value);
      if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [clean(key), inner]));
    }),
  );
}

/** Whether Postgres can store the text. */
export function isStorableText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}
