import type { CachedAnswer } from '../../src/cache/cached-answer.ts';
import type { CachePolicy } from '../../src/define/cache-policy.ts';
import type { ReadRecord, Token } from '../support/coherence/judge.ts';
import { CHAMPION_ROW, rowTag, type Shown } from './origin.ts';

/** What clocks that drift apart by 200 parts in a million make of the longest bound, and a millisecond of rounding. */
const CLOCK_SLACK_MS = 4;

/** How a client asks. */
export interface Ask {
  readonly level?: ReadRecord['level'];
  readonly token?: Token | undefined;
  readonly session?: string | undefined;
}

/** One answer, as a line of the trace and as a record for each dep that it shows. */
export function recordsOf(
  isolate: string,
  key: string,
  ask: Ask,
  at: Pick<ReadRecord, 'begun' | 'ended'>,
  answer: CachedAnswer,
  policy: CachePolicy,
  tokenOut: Token | undefined,
): { readonly line: string; readonly records: ReadRecord[] } {
  const { entry, source, unverified, token } = answer;
  const fromOrigin = !source.hit && unverified !== 'origin-unavailable';
  const shown = JSON.parse(entry.body) as Shown | null;
  const marked =
    (source.hit && source.stale && ask.level === 'eventual') || (!fromOrigin && unverified !== undefined);
  const how = source.hit ? `${source.tier}${source.stale ? ', stale' : ''}` : source.forward;
  const all =
    shown === null ? [[rowTag(Number(key.split('/')[1])), 'absent'] as const] : Object.entries(shown);
  // Of a prediction without a token nobody says that its version is the champion (docs/coherence.md).
  const deps = all.filter(([dep]) => token !== undefined || dep !== rowTag(CHAMPION_ROW));
  const records = deps.map(
    ([dep, version]): ReadRecord => ({
      dep,
      level: ask.level ?? policy.level,
      token: ask.token,
      tokenOut,
      // Without a token the session is promised nothing beyond what it had.
      session: token === undefined ? undefined : ask.session,
      ...at,
      shown: version === 0 ? 'absent' : version,
      marked,
      boundMs: policy.boundMs + CLOCK_SLACK_MS,
      sourceBoundMs: policy.sourceBoundMs + CLOCK_SLACK_MS,
      note: `${isolate}, ${key}, ${how}`,
    }),
  );
  const line = `${isolate} answers ${key} (${ask.session ?? ask.level ?? 'bounded'}) with ${entry.body} of stamp ${entry.epoch}.${entry.stamp} from ${how}${marked ? `, marked ${unverified ?? 'stale'}` : ''}`;
  return { line, records };
}
