import { z } from '@hono/zod-openapi';
import type { EntityDefinition } from '../define/entity.ts';
import { Failure } from '../platform/failure.ts';

/** A key of four columns of text, each at its longest. */
const KEY_CHARACTERS_MAX = 1_024;

/** The value of a key's one column, its canonical text, or an object of its columns' values. */
export const EntityKey = z.union([
  z.string().min(1).max(KEY_CHARACTERS_MAX),
  z.int(),
  z.record(z.string().max(64), z.union([z.string().max(KEY_CHARACTERS_MAX), z.int()])),
]);

/**
 * The canonical text of a key in a body. Two spellings of one key, such as `7` and `007` of an integer, have one text.
 *
 * @throws Failure `unprocessable` with the pointer.
 */
export function canonicalKey(
  { name, key }: EntityDefinition,
  sent: z.output<typeof EntityKey>,
  pointer: string,
): string {
  const values = key.parse(sent);
  if (values !== undefined) return key.textOf(values);
  throw new Failure('unprocessable', `This is not a key of "${name}".`, { pointer });
}
