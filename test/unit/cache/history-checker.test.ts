import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkHistory,
  firstImpossible,
  type HistoryLines,
  type ReadLine,
  readHistory,
  type WriteLine,
} from '../../support/coherence/history-checker.ts';

type Operation = Parameters<typeof firstImpossible>[0][number];

let order = 0;
const at = (ms: number) => {
  order += 1;
  return { ms, order };
};
const NEVER = { ms: Number.POSITIVE_INFINITY, order: Number.POSITIVE_INFINITY };

/** Tries every order of all operations but those writes that were not acknowledged, which it may leave out. */
function isExplained(operations: readonly Operation[], absent: ReadonlySet<number>, version = 0): boolean {
  if (operations.every(({ to }) => to.ms === Number.POSITIVE_INFINITY)) return true;
  const firstEnd = Math.min(...operations.map(({ to }) => to.ms));
  return operations.some((next) => {
    if (next.from.ms > firstEnd) return false;
    const rest = operations.filter((other) => other !== next);
    if (next.write !== undefined) return isExplained(rest, absent, Math.max(version, next.write));
    const isRight = next.read === null ? absent.has(version) : next.read === version && !absent.has(version);
    return isRight && isExplained(rest, absent, version);
  });
}

const span = fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 15 }));

describe('the checker of histories', () => {
  it('finds an order of the operations on a key exactly if one exists', () => {
    const plan = fc.record({
      writes: fc.array(fc.record({ span, absent: fc.boolean(), isKnown: fc.boolean() }), { maxLength: 4 }),
      reads: fc.array(fc.record({ span, version: fc.option(fc.nat(4), { nil: null }) }), { maxLength: 4 }),
    });
    let explained = 0;
    fc.assert(
      fc.property(plan, ({ writes, reads }) => {
        // One writer: a version begins after the one before has ended or was given up.
        let afterMs = 0;
        const made = writes.map(({ span: [gap, length], isKnown }, index): Operation => {
          const from = at(afterMs + (gap % 7) + 0.5);
          afterMs = from.ms + length;
          return { from, to: isKnown ? at(afterMs) : NEVER, write: index + 1, read: undefined };
        });
        const absent = new Set([0, ...writes.flatMap((write, index) => (write.absent ? [index + 1] : []))]);
        const seen = reads.map(({ span: [begin, length], version }, index): Operation => {
          // Writes begin and end at halves of a millisecond, reads never do: ties have no defined order.
          const from = at(begin + index / 100 + 0.003);
          return { from, to: at(begin + length + index / 100 + 0.008), write: undefined, read: version };
        });
        const operations = [...made, ...seen];
        const right = isExplained(operations, absent);
        if (right) explained += 1;
        expect(firstImpossible(operations, absent) === undefined).toBe(right);
      }),
      { numRuns: 3_000 },
    );
    expect(explained).toBeGreaterThan(100);
  });

  const write = (version: number, ms: number, over: Partial<WriteLine> = {}): WriteLine => {
    const done = at(ms);
    const known = { begin: at(ms - 1), committedBy: done, acknowledged: done, token: `e.${version}` };
    return { type: 'write', by: 'api', key: 'k', version, absent: false, ...known, ...over };
  };
  const read = (version: number | null, ms: number, over: Partial<ReadLine> = {}): ReadLine => ({
    type: 'read',
    process: 'p',
    session: null,
    level: 'bounded',
    tokenIn: null,
    tokenOut: null,
    start: at(ms),
    end: at(ms + 1),
    status: 200,
    marked: false,
    shows: [{ key: 'k', version }],
    ...over,
  });
  const found = (reads: ReadLine[], writes: WriteLine[]) => {
    const run = { type: 'run', format: 'millrace-history/1', boundMs: 1_000, sourceBoundMs: 10_000 } as const;
    return checkHistory({ run, reads, writes }).findings.map(({ check }) => check);
  };

  it('checks each level by its own promise', () => {
    const two = [write(1, 1_000), write(2, 2_000)];
    expect(found([read(2, 2_100, { level: 'strong' }), read(1, 2_900)], two)).toEqual([]);
    expect(found([read(1, 2_100, { level: 'strong' })], two)).toEqual(['linearizable']);
    expect(found([read(1, 3_100)], two)).toEqual(['delta-atomic']);
    expect(found([read(1, 3_100, { marked: true })], two)).toEqual([]);
    expect(found([read(1, 2_100, { level: 'session', tokenIn: 'e.2', marked: true })], two)).toEqual([
      'read-your-writes',
    ]);
    const unannounced = [write(1, 1_000, { by: 'sql', acknowledged: null, token: null })];
    expect(found([read(null, 11_900)], unannounced)).toEqual([]);
    expect(found([read(null, 12_100)], unannounced)).toEqual(['source-bound']);
    const shown = read(1, 1_100, { session: 's', tokenOut: 'e.5' });
    const back = read(null, 1_200, { session: 's', tokenIn: 'e.5', level: 'session' });
    expect(found([shown, back], unannounced)).toEqual(['monotonic', 'tokens']);
    expect(found([shown, { ...back, session: 'another' }], unannounced)).toEqual(['tokens']);
  });

  it('refuses a truncated history', () => {
    const lines: HistoryLines['run'][] = [
      { type: 'run', format: 'millrace-history/1', boundMs: 1, sourceBoundMs: 1 },
    ];
    const text = lines.map((line) => JSON.stringify(line)).join('\n');
    expect(() => readHistory(text)).toThrow('cut off');
    expect(readHistory(`${text}\n{"type":"end","lines":1}\n`).reads).toEqual([]);
  });
});
