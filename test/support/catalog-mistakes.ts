import { mistakeIn } from '../../src/define/mistake.ts';

/** What a builder found wrong with its own declaration, problem and remedy; empty for a definition without a mistake. */
export function mistakeOf(definition: unknown): string {
  return mistakeIn(definition)?.mistake.message ?? '';
}
