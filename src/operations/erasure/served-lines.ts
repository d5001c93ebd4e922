import * as z from 'zod';
import { hasValues, type Subject } from './subject.ts';

/** What a line of the log of served predictions has that may name an entity. */
const Line = z.looseObject({
  entity: z.string(),
  key: z.string(),
  items: z.array(z.tuple([z.string(), z.unknown()])).nullable(),
  input: z.unknown(),
});

/**
 * The text of a file of the log without the lines that are about the subject: answers for it, answers that offered it as an
 * item, and requests that sent its key. A line that cannot be read goes if it has the text of the key.
 */
export function linesWithout(
  text: string,
  subject: Subject,
): { readonly left: string; readonly removed: number } {
  const lines = text.split('\n').filter((line) => line !== '');
  const left = lines.filter((line) => !isAbout(line, subject));
  return { left: left.map((line) => `${line}\n`).join(''), removed: lines.length - left.length };
}

function isAbout(line: string, { entity, key, values }: Subject): boolean {
  let parsed: z.output<typeof Line> | undefined;
  try {
    parsed = Line.safeParse(JSON.parse(line)).data;
  } catch {
    parsed = undefined;
  }
  if (parsed === undefined) return line.includes(JSON.stringify(key).slice(1, -1));
  const { items, input } = parsed;
  if (parsed.entity === entity.name && parsed.key === key) return true;
  return (items ?? []).some(([item]) => item === key) || hasValues(input, values);
}
