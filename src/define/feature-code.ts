/** What of a function's text is no code, and what has to stay as it is. A text of code that this takes apart wrongly differs from itself in no release. */
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[\p{ID_Continue}$]+|\s+|[\s\S]/gu;

/**
 * The text of functions by which a change of them is noticed, without comments and white space, which bundlers change.
 * It cannot tell what a function that they call computes.
 */
export function codeOf(functions: Readonly<Record<string, ((data: never) => unknown) | undefined>>): string {
  return Object.entries(functions)
    .flatMap(([name, fn]) => (fn === undefined ? [] : [`${name}: ${withoutSpace(String(fn))}`]))
    .join('\n');
}

function withoutSpace(text: string): string {
  let code = '';
  let isApart = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (/^\s|^\/[*/]/.test(token)) {
      isApart = true;
      continue;
    }
    // Two words would become one.
    if (isApart && isWord(code.at(-1)) && isWord(token[0])) code += ' ';
    code += token;
    isApart = false;
  }
  return code;
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{ID_Continue}$]/u.test(character);
}
