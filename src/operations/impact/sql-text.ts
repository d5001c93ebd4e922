/** What the text of a query names, beyond what drizzle knows of it. It finds too much rather than too little. */

/** The tables that a text names after `from` and `join`, with their schemas; functions are none. */
export function namedTables(text: string): string[] {
  const named =
    /\b(?:from|join)\s+(?:only\s+|lateral\s+)?((?:"[^"]+"|\w+)(?:\s*\.\s*(?:"[^"]+"|\w+))*)(?!["\w.]|\s*\()/gi;
  return [...withoutLiterals(text).matchAll(named)]
    .map(([, name = '']) => name.replaceAll(/["\s]/g, ''))
    .filter((name) => !/^(select|lateral|only|values)$/i.test(name));
}

/** The bare words of a text that are no names of functions. drizzle writes each identifier in quotes. */
export function bareWords(text: string): Set<string> {
  const bare = withoutLiterals(text).replaceAll(/"[^"]*"/g, ' ');
  return new Set([...bare.matchAll(/\b[a-z_]\w*\b(?!\s*\()/gi)].map(([word]) => word.toLowerCase()));
}

/** The identifiers in quotes that no table qualifies. */
export function quotedNames(text: string): Set<string> {
  return new Set(
    [...withoutLiterals(text).matchAll(/(?<!\.\s*)"([^"]+)"(?!\s*\.)/g)].map(([, name = '']) => name),
  );
}

/** Whether a text takes all columns of a table: `*` that is no count of rows. */
export function takesAll(text: string): boolean {
  return /(?:select|,|\.)\s*\*/i.test(withoutLiterals(text));
}

/** Whether a statement without rows answers with one row: an aggregate over all rows. */
export function isAggregate(text: string): boolean {
  return (
    /^\s*select\s+(?:count|sum|min|max|avg|exists|coalesce)\s*\(/i.test(text) && !/\bgroup by\b/i.test(text)
  );
}

function withoutLiterals(text: string): string {
  return text.replaceAll(/'(?:[^']|'')*'/g, "''");
}
