/**
 * The learning loop, shown: a season changes, and the worker finds, trains, tries and promotes a new version by itself; then a
 * bad version is pushed, and is rolled back.
 *
 *   npm run demo:learning [-- --runs 20 --seed 1 --plot docs/learning-loop.svg]
 */
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { readOptions } from '../../../scripts/command-line/options.ts';
import { runCommand } from '../../../scripts/command-line/run.ts';
import { wholeNumberOf } from '../../../scripts/command-line/values.ts';
import { plotOf } from './learning/plot.ts';
import { type LearningRun, learningRun } from './learning/run.ts';

const CHAMPION_AIM_MS = 300_000;
const BAD_AIM_MS = 60_000;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run demo:learning',
    options: {
      runs: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      plot: { type: 'string' },
    },
  });
  const runs = wholeNumberOf('--runs', values.runs, { min: 1 });
  const first = wholeNumberOf('--seed', values.seed, { min: 0 });
  const made: LearningRun[] = [];
  let failed = 0;
  for (let seed = first; seed < first + runs; seed += 1) {
    console.log(`\nRun with seed ${seed}; load ${loadavg()[0]?.toFixed(1)}`);
    try {
      const run = await learningRun(seed, console.log);
      made.push(run);
      console.log(summaryOf(run));
      if (values.plot !== undefined) await writeFile(values.plot, plotOf(run));
    } catch (error) {
      failed += 1;
      console.error(`The run with seed ${seed} failed:`, error);
    }
  }
  const within = (aim: number, of: (run: LearningRun) => number | undefined) =>
    made.filter((run) => (of(run) ?? Number.POSITIVE_INFINITY) <= aim).length;
  console.log(
    `\nOf ${runs} runs (${failed} failed): drift to champion within ${CHAMPION_AIM_MS / 1_000} s in ${within(CHAMPION_AIM_MS, (run) => run.championMs)}, bad version out within ${BAD_AIM_MS / 1_000} s in ${within(BAD_AIM_MS, (run) => run.badOutMs)}.`,
  );
});

function summaryOf(run: LearningRun): string {
  const seconds = (ms: number | undefined) => (ms === undefined ? 'never' : `${(ms / 1_000).toFixed(1)} s`);
  const percent = (share: number | undefined) =>
    share === undefined ? '–' : `${(100 * share).toFixed(1)} %`;
  const { before, shifted, recovered, after } = run.hitRates;
  return [
    `season to drift ${seconds(run.driftMs)}, drift to champion ${seconds(run.championMs)}`,
    `bad version out after ${seconds(run.badOutMs)} (${run.badReason ?? '–'}), ${run.badAnswers} answers`,
    `hit rate ${percent(before)} before, ${percent(shifted)} in the new season, ${percent(recovered)} with the new champion, ${percent(after)} with the bad version out`,
    `${run.events} events, ${run.reads.length} answers, failed requests: ${[...run.failures].map(([kind, count]) => `${count} × ${kind}`).join(', ') || 'none'}`,
  ].join('\n');
}
