import type { Services } from '../../src/composition/services.ts';
import { deadLetterOf } from '../../src/pipeline/dead-letters.ts';
import { sha256Hex } from '../../src/platform/digest.ts';
import { keepDeadLetters } from '../../src/storage/postgres/quarantine.ts';

/** Keeps messages that nobody could handle, each with the reason; one that is kept already is open again. */
export async function keepDead(
  letters: readonly { readonly message: unknown; readonly detail: string }[],
  { db }: Pick<Services, 'db'>,
): Promise<void> {
  await keepDeadLetters(
    db,
    await Promise.all(letters.map(({ message, detail }) => deadLetterOf(message, detail, sha256Hex))),
  );
}
