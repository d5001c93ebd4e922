import { judgeHistory, type Violation } from '../../test/support/coherence/judge.ts';
import type { History } from './history.ts';

export interface Judgement {
  readonly violations: readonly Violation[];
  /**
   * Sessions that were shown a row again, in its version of before, after a page of a list had lacked it. That a
   * page lacks a row shares no tag with the change that took the row out of it, so where that change is pending,
   * the page's token does not cover it: a window that docs/coherence.md names.
   */
  readonly backAfterPage: readonly Violation[];
}

/** Judges everything that was seen. What a page lacks is held to every promise, and only binds no later read. */
export function judge(history: History): Judgement {
  const writes = history.allWrites();
  const violations = judgeHistory(
    writes,
    history.reads.map((read) => (read.lackedByPage ? { ...read, session: undefined } : read)),
  );
  const monotonic = judgeHistory(writes, history.reads).filter(({ rule }) => rule === 'monotonic');
  const known = new Set(violations.map(({ read }) => read.begun.order));
  return { violations, backAfterPage: monotonic.filter(({ read }) => !known.has(read.begun.order)) };
}
