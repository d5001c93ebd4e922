import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { seededRandom } from '../../../src/platform/random.ts';
import { maeOf, rmseOf } from '../../../src/training/measures/number.ts';
import { aucOf, brierOf, logLossOf, reliabilityOf } from '../../../src/training/measures/probability.ts';
import { judgeList } from '../../../src/training/measures/ranking.ts';
import { hasPython, pythonEnvironment } from '../python.ts';

it.skipIf(!hasPython('sklearn'))(
  'measures are those of scikit-learn',
  () => {
    const random = seededRandom(6);
    const rows = Array.from({ length: 500 }, () => {
      const score = random();
      return {
        score,
        label: random() < score ** 1.5 ? 1 : 0,
        weight: 1 + Math.floor(3 * random()),
        number: 2 * random(),
      };
    });
    const [scores, labels] = [rows.map(({ score }) => score), rows.map(({ label }) => label)];
    const [weights, numbers] = [rows.map(({ weight }) => weight), rows.map(({ number }) => number)];
    const wanted = measuredByPython({ scores, labels, weights, numbers });
    const near = (given: number | undefined, name: string) =>
      expect(given, name).toBeCloseTo(Number(wanted[name]), 9);
    near(aucOf(scores, labels)(weights), 'auc');
    near(logLossOf(scores, labels)(weights), 'logLoss');
    near(brierOf(scores, labels)(weights), 'brier');
    near(rmseOf(scores, numbers)(weights), 'rmse');
    near(maeOf(scores, numbers)(weights), 'mae');
    const first = rows.slice(0, 40).map((row, at) => ({ ...row, item: String(at) }));
    const list = first.toSorted((a, b) => b.score - a.score).map(({ item }) => item);
    const relevant = new Set(first.filter(({ label }) => label === 1).map(({ item }) => item));
    near(judgeList(list, relevant, 10).ndcg, 'ndcg');
    const curve = reliabilityOf(scores, labels, new Uint8Array(500).fill(1));
    for (const [at, bin] of curve.entries()) {
      expect(bin.observed).toBeCloseTo(Number(wanted['observed']?.[at]), 9);
      expect(bin.predicted).toBeCloseTo(Number(wanted['predicted']?.[at]), 9);
    }
  },
  120_000,
);

function measuredByPython(rows: Record<string, readonly number[]>): Record<string, number & number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-measures-'));
  try {
    const file = join(folder, 'rows.json');
    writeFileSync(file, JSON.stringify(rows));
    const { stdout, stderr } = spawnSync('python3', [join(import.meta.dirname, 'measures.py'), file], {
      env: pythonEnvironment(),
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
