import { expect, it } from 'vitest';
import { asLines, asMarkdown, type Run, summaryOf } from '../../../scripts/chaos/report.ts';
import type { Result } from '../../../scripts/chaos/run.ts';
import type { PhaseFigures } from '../../../scripts/chaos/verdict.ts';

const phase: PhaseFigures = {
  requests: 1_000,
  outcomes: { data: 900, marked: 60, refused: 38 },
  broken: { late: 2 },
  ...{ p50Ms: 1.2, p99Ms: 99.6, slowestMs: 7 },
};
const resultOf = (name: string, reasons: readonly string[]): Result => ({
  experiment: { name, hypothesis: 'It holds.', fault: 'something ends' },
  seen: {
    timeline: { faultMs: 1, endOfFaultMs: 2, endOfLoadMs: 3 },
    slowestMs: { before: 1, during: 2, after: 3 },
    events: { lost: ['e1'], doubled: [], foreign: [], miscounted: [] },
    ...{ violations: [], acknowledgedEvents: 1_234, settledAfterMs: 500, unsent: 0 },
    evidence: 'the part answered nothing for 1 s',
  },
  verdict: { phases: { before: phase, during: phase, after: phase }, recoveredAfterMs: 3_000, reasons },
  logged: [['Something was logged.', 2]],
});
const run: Run = {
  circumstances: {
    ...{ startedAt: '2026-12-01T00:00:00.000Z', machine: 'a machine', database: 'a database', seed: 1 },
    ...{ seconds: 5, saturation: 1_000, load: 600, tookMs: 60_000 },
  },
  results: [resultOf('first', []), resultOf('second', ['2 answers are late.'])],
  leftOut: [{ name: 'third', reason: 'it cannot be had here' }],
};

it('writes what held, each reason, and what was left out', () => {
  const text = asMarkdown(run);
  for (const part of [
    '1 of 2 hypotheses held',
    'Of all requests 99.800 % were answered as the contract states, and 96.000 % with data.',
    'Acknowledged events: 2,468; lost: 2; stored twice: 0.',
    '| `first` | yes | 99.800 % | 96.000 % | 180 | 114 | 100, 100, 100 ms | 3.0 s | 0.5 s |',
    '| `second` | **no** |',
    '- 2 answers are late.',
    'Evidence of the fault: the part answered nothing for 1 s.',
    '| before | 1,000 | 900 | 60 | 38 | 2 late | 1 ms | 100 ms | 7 ms |',
    '- 2 × Something was logged.',
    '- `third`: it cannot be had here.',
  ])
    expect(text).toContain(part);
});

it('tells the same on the console', () => {
  expect(asLines(resultOf('second', ['2 answers are late.']))).toEqual([
    expect.stringMatching(/^does not hold second: 99\.800 % as stated/),
    '  2 answers are late.',
  ]);
  expect(summaryOf(run)).toContain('1 of 2 hypotheses hold');
});
