/** The deepest JSON that is accepted. No valid request nests deeper, and each level costs stack wherever it is walked. */
export const JSON_DEPTH_MAX = 64;

/** Whether a JSON text is nested deeper than the limit. Call it before parsing; for text that is not JSON the result is meaningless. */
export function isTooDeep(text: string): boolean {
  let depth = 0;
  let isInString = false;
  for (let position = 0; position < text.length; position += 1) {
    const character = text[position];
    if (isInString) {
      if (character === '\\') position += 1;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > JSON_DEPTH_MAX) return true;
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return false;
}
