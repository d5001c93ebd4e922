import type { TierName } from '../../define/cache-policy.ts';
import type { Entry } from '../entry.ts';

/** A place that may hold entries. It may be as stale as it likes, and may lose anything at any time. */
export interface Tier {
  readonly name: TierName;
  get(key: string): Promise<Entry | undefined> | Entry | undefined;
  /** Errors are the tier's own affair: an entry that could not be kept costs a miss. */
  put(key: string, entry: Entry): Promise<void> | void;
}
