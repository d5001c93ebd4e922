import { z } from '@hono/zod-openapi';
import type { CachedAnswer } from '../cache/cached-answer.ts';
import { DEGRADED_REASONS, type DegradedReason } from '../inference/degraded.ts';

const HEADER = 'millrace-degraded';

/** Beyond the deadline, for what happens after the model's own deadline: the digest of its answer. In milliseconds. */
export const GRACE_MS = 25;

/** What an answer of a model says of itself. */
const Degraded = z.object({ source: z.string(), degraded: z.enum(DEGRADED_REASONS) });

/** Marks an answer whose body says that it is degraded by the header, as a structured field: `fallback; reason=…`. */
export function markDegraded(headers: Headers, value: unknown): void {
  const { data } = Degraded.safeParse(value);
  if (data !== undefined) setDegraded(headers, data.source, data.degraded);
}

/** Marks an answer whose body has another protocol's form by the header alone. */
export function setDegraded(headers: Headers, source: string, reason: DegradedReason): void {
  headers.set(HEADER, `${source}; reason=${reason}`);
}

/**
 * The answer of a model's path with what its header has to say. An entry that stands in for an answer says so in its body,
 * which has an entity tag of its own then.
 *
 * @param reason why an entry stands in.
 */
export function shownInPath(
  answer: CachedAnswer,
  reason: DegradedReason,
): { readonly answer: CachedAnswer; readonly value: unknown } {
  const { source, unverified, entry } = answer;
  if (source.hit || source.stored) return { answer, value: undefined };
  const value: unknown = JSON.parse(entry.body);
  if (unverified !== 'origin-unavailable') return { answer, value };
  const marked = staleValue(value, reason);
  const etag = entry.etag.replace(/"$/, '-stale"');
  return { answer: { ...answer, entry: { ...entry, body: JSON.stringify(marked), etag } }, value: marked };
}

/** Why an entry stands in: the reason of the answer that it replaces, or because that one came too late. */
export function reasonOf(value: unknown): DegradedReason {
  return Degraded.safeParse(value).data?.degraded ?? 'deadline_exceeded';
}

/** The body of an entry that stands in. */
function staleValue(value: unknown, degraded: DegradedReason): object {
  return { ...(typeof value === 'object' ? value : {}), source: 'stale', degraded };
}

/** The body of an answer in memory that stands in for a degraded one; undefined without one. */
export function standInValue(standIn: CachedAnswer | undefined, degraded: unknown): object | undefined {
  const { data } = Degraded.safeParse(degraded);
  return standIn && data && staleValue(JSON.parse(standIn.entry.body), data.degraded);
}
