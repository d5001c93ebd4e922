import type { CachedAnswer } from '../../src/cache/cached-answer.ts';
import type { Token } from '../../src/cache/clock/clock.ts';
import type { Entry } from '../../src/cache/entry.ts';
import type { ConsistencyLevel } from '../../src/define/cache-policy.ts';
import type { Commit } from './origin.ts';

/**
 * What happened in a run, in the order of its happening: one line of JSON each (test/model/README.md). Reads, syncs,
 * pushes and passes are named by numbers of their own. A moment `at` is an epoch and a `seq` of the clock.
 */
export type RecordedEvent =
  | {
      readonly do: 'commit';
      readonly id: number;
      readonly tags: readonly string[];
      readonly versions: Versions;
    }
  | { readonly do: 'invalidate'; readonly tags: readonly string[]; readonly at: Token }
  | { readonly do: 'mark'; readonly commits: readonly number[]; readonly at: Token }
  | { readonly do: 'sweep' }
  | { readonly do: 'open' | 'close'; readonly pass: number }
  | {
      readonly do: 'push';
      readonly push: number;
      readonly to: string;
      readonly since: number;
      readonly at: Token;
    }
  | { readonly do: 'pushed'; readonly push: number }
  | {
      readonly do: 'send';
      readonly sync: number;
      readonly from: string;
      readonly maxAgeMs: number;
      readonly token: Token | undefined;
    }
  | {
      readonly do: 'answers';
      readonly sync: number;
      readonly by: 'root' | 'region';
      readonly at: Token;
    }
  /** A sync may have been answered twice, by the region and by the root: `by` names the answer that was taken in. */
  | {
      readonly do: 'apply';
      readonly sync: number;
      readonly by: 'root' | 'region';
      readonly at: Token;
    }
  | {
      readonly do: 'begin';
      readonly read: number;
      readonly isolate: string;
      readonly key: string;
      readonly level: ConsistencyLevel;
      readonly token: Token | undefined;
    }
  | { readonly do: 'look' | 'miss' | 'data' | 'report' | 'fail'; readonly read: number }
  | { readonly do: 'stamp'; readonly read: number; readonly at: Token }
  | {
      readonly do: 'loaded';
      readonly read: number;
      readonly asOf: number | null | undefined;
      readonly storable: boolean;
    }
  | {
      readonly do: 'answer';
      readonly read: number;
      readonly how: 'hit' | 'share' | 'fill' | 'bypass' | 'marked';
      readonly entry: Pick<Entry, 'epoch' | 'stamp' | 'asOf' | 'body'>;
      readonly token: Token | undefined;
    }
  | { readonly do: 'restart'; readonly machine: string }
  | { readonly do: 'reset' };

/** For each dep that a commit wrote, its new version. */
type Versions = Readonly<Record<string, number>>;

/** Takes an event in, with the virtual time in milliseconds. */
export type RecordEvent = (atMs: number, event: RecordedEvent) => void;

export function committed({ outboxId, tags, records }: Commit): RecordedEvent {
  const versions = Object.fromEntries(records.map(({ dep, version }) => [dep, version]));
  return { do: 'commit', id: outboxId, tags, versions };
}

export function answered(
  read: number,
  { entry: { epoch, stamp, asOf, body }, source, unverified }: CachedAnswer,
  token: Token | undefined,
): RecordedEvent {
  const entry = { epoch, stamp, asOf, body };
  return { do: 'answer', read, how: howOf(source, unverified), entry, token };
}

function howOf(source: CachedAnswer['source'], unverified: CachedAnswer['unverified']) {
  if (source.hit) return source.stale || unverified !== undefined ? 'marked' : 'hit';
  if (source.forward === 'bypass') return 'bypass';
  if (unverified !== undefined) return 'marked';
  return source.collapsed ? 'share' : 'fill';
}

export function momentOf({ epoch, seq }: Token): Token {
  return { epoch, seq };
}
