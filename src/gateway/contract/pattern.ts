/**
 * The `pattern` of a schema (JSON Schema 2020-12 §6.3.3: ECMA-262, without flags) from the text that the generator makes
 * of a regular expression. It leaves the flags at its end: `^[a-z]+$/i`.
 *
 * @returns undefined for an expression that no flagless pattern can state: then the schema has none.
 */
export function ecmaPattern(text: string): string | undefined {
  const [, source = text, flags = ''] = FLAGGED.exec(text) ?? [];
  const plain = source.replaceAll(PARTS, (part) =>
    part.startsWith('[')
      ? part.replaceAll(ESCAPES, (within) => RANGES[within] ?? within)
      : part === '\\P{Cc}'
        ? NO_CONTROL
        : part in RANGES
          ? `[${RANGES[part]}]`
          : part,
  );
  return CHANGE_MEANING.test(flags) || NEEDS_UNICODE.test(plain) ? undefined : plain;
}

/** Classes, the property that declarations use most (no control character), and other escapes. */
const PARTS = /\[(?:\\.|[^\]\\])*\]|\\P\{Cc\}|\\./gs;
const ESCAPES = /\\./gs;
const NO_CONTROL = '[^\\u0000-\\u001f\\u007f-\\u009f]';
/** ECMA-262 means ASCII by these. Other languages mean all of Unicode, and a client may be written in one. */
const RANGES: Readonly<Record<string, string>> = { '\\d': '0-9', '\\w': 'A-Za-z0-9_' };

/** A slash within an expression is escaped or in a class, so the last bare one ends it. */
const FLAGGED = /^(.*[^\\])\/([dgimsuvy]+)$/s;
/** `d`, `g` and `y` matter to a search only; `u` and `v` where an expression uses what they allow. */
const CHANGE_MEANING = /[ims]/;
const NEEDS_UNICODE = /\\[pP]\{|\\u\{|[\u{10000}-\u{10ffff}]/u;
