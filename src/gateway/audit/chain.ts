import { sha256Hex } from '../../platform/digest.ts';
import type { AuditLink } from '../../storage/postgres/audit.ts';

/** A place in the chain: an entry and its hash. */
export interface AuditAnchor {
  readonly id: number;
  readonly hash: string;
}

/** Why the chain is broken at an entry: its content was changed, or the entry before it was changed or removed. */
export type BreakReason = 'content' | 'link' | 'anchor';

export interface ChainVerdict {
  readonly checked: number;
  /** The last entry that was verified; the anchor itself if none was. Null for an empty chain. */
  readonly verifiedTo: AuditAnchor | null;
  readonly broken: { readonly id: number; readonly reason: BreakReason } | null;
}

/**
 * Verifies entries of the audit log in their order.
 *
 * @param links the entry of `anchor` and those that follow it; from the first entry of all if there is no anchor.
 * @param anchor an entry that was verified before. If the log no longer has it with this hash, the chain is broken there.
 */
export async function verifyChain(
  links: readonly AuditLink[],
  anchor: AuditAnchor | undefined,
): Promise<ChainVerdict> {
  let verifiedTo: AuditAnchor | null = null;
  let checked = 0;
  if (anchor !== undefined && links[0]?.id !== anchor.id)
    return { checked, verifiedTo, broken: { id: anchor.id, reason: 'anchor' } };
  for (const { id, previousHash, hash, content } of links) {
    const reason = await breakOf({ id, previousHash, hash, content }, verifiedTo, anchor);
    if (reason !== undefined) return { checked, verifiedTo, broken: { id, reason } };
    verifiedTo = { id, hash };
    checked += 1;
  }
  return { checked, verifiedTo, broken: null };
}

async function breakOf(
  { previousHash, hash, content }: AuditLink,
  before: AuditAnchor | null,
  anchor: AuditAnchor | undefined,
): Promise<BreakReason | undefined> {
  if ((await sha256Hex(previousHash + content)) !== hash) return 'content';
  if (before === null && anchor !== undefined) return hash === anchor.hash ? undefined : 'anchor';
  return previousHash === (before?.hash ?? '') ? undefined : 'link';
}
