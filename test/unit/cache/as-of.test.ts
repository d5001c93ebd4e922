import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideAsOf, INVALIDATED_CHANGES_MAX, InvalidatedChanges } from '../../../src/cache/as-of.ts';
import type { PendingTags } from '../../../src/storage/postgres/reflecting.ts';

const EPOCH = 'e';

/** A committed change and what has become of its invalidation. */
interface Change extends PendingTags {
  /** Its last invalidation, or undefined if there was none. */
  readonly invalidatedAt: number | undefined;
  readonly relayed: boolean;
  /** The reader's isolate made that invalidation, or saw it. */
  readonly known: boolean;
}

const TAGS = ['a', 'b', 'c', 'd'];
const tagSet = fc.uniqueArray(fc.constantFrom(...TAGS), { minLength: 1, maxLength: 3 });
const changes: fc.Arbitrary<Change[]> = fc
  .array(
    fc.record({
      tags: tagSet,
      state: fc.constantFrom('pending', 'invalidated', 'known', 'relayed'),
      seq: fc.integer({ min: 1, max: 50 }),
    }),
    { maxLength: 12 },
  )
  .map((drawn) =>
    drawn.map(({ tags, state, seq }, outboxId) => ({
      outboxId,
      tags,
      invalidatedAt: state === 'pending' ? undefined : seq,
      relayed: state === 'relayed',
      known: state === 'known',
    })),
  );

/** What the outbox reports of these changes when it lists `limit` pending ones. */
function reportOf(all: readonly Change[], limit: number) {
  const pending = all.filter(({ relayed }) => !relayed);
  const seqs = all.flatMap(({ relayed, invalidatedAt }) => (relayed ? (invalidatedAt ?? []) : []));
  return {
    relayedSeq: seqs.length === 0 ? undefined : Math.max(...seqs),
    pending: pending.slice(0, limit),
    truncated: pending.length > limit,
  };
}

function memoryOf(all: readonly Change[]): InvalidatedChanges {
  const memory = new InvalidatedChanges();
  for (const { outboxId, known, invalidatedAt } of all) {
    if (known && invalidatedAt !== undefined) memory.note([outboxId], { epoch: EPOCH, seq: invalidatedAt });
  }
  return memory;
}

const touches = ({ tags }: Change, answer: readonly string[]) => tags.some((tag) => answer.includes(tag));

describe('the invalidations that an answer needs before it is as of a moment', () => {
  it('cover everything that the answer may show', () => {
    fc.assert(
      fc.property(changes, tagSet, fc.integer({ min: 0, max: 12 }), (all, answer, limit) => {
        const decision = decideAsOf(reportOf(all, limit), answer, EPOCH, memoryOf(all));
        for (const change of all.filter((one) => touches(one, answer))) {
          if (decision.kind === 'invalidate') {
            const { tags } = decision;
            // All tags of what is listed; of what is not, those by which the answer can be shown again.
            const listed = decision.outboxIds.includes(change.outboxId);
            const shared = change.tags.filter((tag) => listed || answer.includes(tag));
            const covered = change.relayed || change.known || shared.every((tag) => tags.includes(tag));
            expect(covered).toBe(true);
          } else {
            expect(change.invalidatedAt ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
              decision.asOf?.seq ?? 0,
            );
          }
        }
      }),
    );
  });

  it('are empty if no unknown change touches the answer', () => {
    fc.assert(
      fc.property(changes, tagSet, (all, answer) => {
        const decision = decideAsOf(reportOf(all, all.length), answer, EPOCH, memoryOf(all));
        const unknown = all.filter((one) => touches(one, answer) && !one.relayed && !one.known);
        if (unknown.length === 0) expect(decision.kind).toBe('known');
        else
          expect(decision).toEqual({
            kind: 'invalidate',
            tags: [...new Set(unknown.flatMap(({ tags }) => tags))],
            outboxIds: unknown.map(({ outboxId }) => outboxId),
          });
      }),
    );
  });

  it('are the tags of the answer if the report does not list every change', () => {
    const report = { relayedSeq: 9, pending: [{ outboxId: 1, tags: ['x'] }], truncated: true };
    expect(decideAsOf(report, ['a', 'b'], EPOCH, new InvalidatedChanges())).toEqual({
      kind: 'invalidate',
      tags: ['a', 'b'],
      outboxIds: [],
    });
  });
});

describe('a page of a list', () => {
  const page = ['shop/by-town[a^b/c:d]^38', 'product:85123A'];
  const leaving = (list: string) => ({
    relayedSeq: undefined,
    pending: [{ outboxId: 1, tags: ['product:gone', list] }],
    truncated: false,
  });

  it('is touched by a row that leaves its list, even if the page does not show that row', () => {
    const decision = decideAsOf(leaving('shop/by-town[a^b/c:d]^'), page, EPOCH, new InvalidatedChanges());
    expect(decision).toMatchObject({ kind: 'invalidate', outboxIds: [1] });
  });

  it('is not touched by one that leaves another list, or by a row whose key looks like a list', () => {
    for (const tag of ['shop/by-town[a]^', 'shop/by-name^', 'product:85123A^']) {
      const decision = decideAsOf(leaving(tag), [...page, 'product:x/y^12'], EPOCH, new InvalidatedChanges());
      expect(decision.kind).toBe('known');
    }
  });
});

describe('the memory of past invalidations', () => {
  it('belongs to one epoch', () => {
    const memory = new InvalidatedChanges();
    memory.note([1], { epoch: EPOCH, seq: 4 });
    expect(memory.seqOf(1, EPOCH)).toBe(4);
    expect(memory.seqOf(1, 'another')).toBeUndefined();
    const report = { relayedSeq: undefined, pending: [{ outboxId: 1, tags: ['a'] }], truncated: false };
    expect(decideAsOf(report, ['a'], 'another', memory).kind).toBe('invalidate');
    expect(decideAsOf(report, ['a'], EPOCH, memory)).toEqual({
      kind: 'known',
      asOf: { epoch: EPOCH, seq: 4 },
    });
  });

  it('drops its oldest entries when it is full', () => {
    const memory = new InvalidatedChanges();
    const ids = Array.from({ length: INVALIDATED_CHANGES_MAX }, (_, id) => id);
    memory.note(ids, { epoch: EPOCH, seq: 1 });
    memory.note([0], { epoch: EPOCH, seq: 2 });
    memory.note([ids.length], { epoch: EPOCH, seq: 3 });
    expect(memory.seqOf(0, EPOCH)).toBe(2);
    expect(memory.seqOf(1, EPOCH)).toBeUndefined();
    expect(memory.seqOf(ids.length, EPOCH)).toBe(3);
  });
});
