import type { TierName } from '../../define/cache-policy.ts';
import type { Entry } from '../entry.ts';

/** A store of entries. Its entries may be stale, and it may lose any entry at any time; the clock validates each one. */
export interface Tier {
  readonly name: TierName;
  get(key: string): Promise<Entry | undefined> | Entry | undefined;
  /** Handles its own errors: an entry that is not stored costs a miss. */
  put(key: string, entry: Entry): Promise<void> | void;
}
