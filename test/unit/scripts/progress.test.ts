import { expect, test } from 'vitest';
import { createReporter, describeProgress } from '../../../scripts/progress.ts';

test('progress is a bar in a terminal and a line now and then elsewhere', () => {
  const progress = {
    unit: 'lines',
    done: 5000,
    doneByRun: 2000,
    fraction: 0.5,
    fractionAtStart: 0.25,
    elapsedMs: 4000,
  };
  expect(describeProgress(progress)).toBe(' 50.0 %  5,000 lines  500/s  ETA 0:08');
  expect(describeProgress({ ...progress, total: 10_000 })).toContain('5,000 of about 10,000 lines');
  const shown = (isTTY: boolean): string => {
    let now = 0;
    let output = '';
    const reporter = createReporter({ isTTY, write: (text) => (output += text) }, () => now);
    for (; now < 25_000; now += 1000) reporter.progress(progress);
    reporter.finish();
    return output;
  };
  expect(shown(false).split('\n')).toHaveLength(3);
  expect(shown(true).split('\r')).toHaveLength(27);
  expect(shown(true)).toContain('[############............]');
});
