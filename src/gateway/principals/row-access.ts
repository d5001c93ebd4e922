import type { EntityDefinition } from '../../define/entity.ts';
import type { Principal } from '../../define/principal.ts';
import { isLimited, type Owner, ownerFor, type RowsDefinition } from '../../define/rows.ts';
import { Failure } from '../../platform/failure.ts';

/**
 * The rows that a principal may read.
 *
 * @returns null for all rows.
 * @throws Failure `claim_missing`
 */
export function ownerOf(principal: Principal, claim: string): Exclude<Owner, undefined> {
  const owner = ownerFor(principal, claim);
  if (owner !== undefined) return owner;
  throw new Failure('claim_missing', `The key or token lacks the claim "${claim}". Use one that has it.`, {
    pointer: 'Authorization',
  });
}

/**
 * Refuses a request for rows of another owner, before anything is read: the answer is the same whether they exist or not.
 *
 * @throws Failure `claim_missing`, `outside_rows`
 */
export function assertOwnRows<Asked>(
  principal: Principal,
  { claim, of }: RowsDefinition<Asked>,
  asked: Asked,
  pointer: string | undefined,
): void {
  const owner = ownerOf(principal, claim);
  if (owner === null || of(asked) === owner) return;
  throw new Failure(
    'outside_rows',
    `The claim "${claim}" of the key or token does not admit to these rows.`,
    {
      pointer,
    },
  );
}

/**
 * Refuses a request for features or a prediction of another owner's row. Call it before anything is read.
 *
 * @param text the canonical text of the row's key.
 * @throws Failure `claim_missing`, `outside_rows`, `rows_not_limited`
 */
export function assertOwnRow(
  principal: Principal,
  { rows, key }: Pick<EntityDefinition, 'rows' | 'key'>,
  text: string,
  pointer: string,
): void {
  if (rows !== undefined) {
    const values = key.parse(text);
    if (values === undefined) throw new TypeError(`"${text}" is no canonical text of a key.`);
    assertOwnRows(principal, rows, values, pointer);
  } else if (principal.kind !== 'anonymous' && isLimited(principal)) throw notLimited();
}

/** For a principal that is limited to rows, on a route that does not say how. */
export function notLimited(): Failure {
  return new Failure(
    'rows_not_limited',
    'The key or token may read some rows only, and this route does not declare how its rows are limited.',
    { pointer: 'Authorization' },
  );
}
