/** A change of an alias. */
export interface NamedVersion {
  /** Null if the alias named no version from then on. */
  readonly version: string | null;
  readonly isRollback: boolean;
  /** Whether the version is withdrawn now. */
  readonly isRetired: boolean;
}

/**
 * The version to which an alias goes back: the one that it named before the present one came. A rollback undoes all
 * changes since its version came, so a second one goes further back. Withdrawn versions are passed over.
 *
 * @param changes all changes of the alias, the oldest first.
 * @returns undefined if there is none.
 */
export function previousVersion(changes: readonly NamedVersion[]): string | undefined {
  const stack: NamedVersion[] = [];
  for (const change of changes) {
    if (change.isRollback) {
      while (stack.length > 0 && stack.at(-1)?.version !== change.version) stack.pop();
    }
    if (stack.at(-1)?.version !== change.version) stack.push(change);
  }
  const present = stack.pop()?.version;
  const earlier = stack.findLast(
    ({ version, isRetired }) => version !== null && version !== present && !isRetired,
  );
  return earlier?.version ?? undefined;
}
