import { expect, it } from 'vitest';
import { hasPython } from '../python.ts';
import { runCases } from './cases.ts';

/** CI runs every eighth case; `npm run conformance:onnx` runs all. */
const PART = '1/8';

it.skipIf(!hasPython('onnx', 'tritonclient.http'))(
  'every eighth backend test of ONNX is answered right, or its graph is refused with the reason',
  async () => {
    const cases = await runCases(['--part', PART]);
    expect(cases.length).toBeGreaterThan(225);
    expect(cases.filter(({ verdict }) => verdict === 'failed' || verdict === 'wrong')).toEqual([]);
    const right = cases.filter(({ verdict }) => verdict === 'right' || verdict === 'rounded');
    expect(right.length).toBeGreaterThan(cases.length * 0.7);
    // Of these the worker compares the evaluator with the runtime; a difference is an error, and so `failed`.
    expect(cases.filter(({ notEvaluated }) => notEvaluated === null).length).toBeGreaterThan(10);
    for (const { verdict, name, detail } of cases)
      if (verdict === 'refused') expect(detail, name).toMatch(/^The \S+/);
  },
  300_000,
);
