import { parentPort } from 'node:worker_threads';
import { planOf } from './plan.ts';
import { run } from './run.ts';

/** What a thread tells of one seed. */
export interface SeedReport {
  readonly seed: number;
  readonly violations: number;
  readonly reads: number;
  readonly hits: number;
  readonly unanswered: number;
  readonly acknowledged: number;
}

/** The rules log what they do without: here that is the ordinary case. */
for (const level of ['log', 'warn', 'error'] as const) console[level] = () => undefined;

parentPort?.on('message', async (seed: number) => {
  const { violations, refusals, reads, hits, unanswered, acknowledged } = await run(planOf(seed));
  const broken = violations.length + refusals.length;
  const report: SeedReport = { seed, violations: broken, reads, hits, unanswered, acknowledged };
  parentPort?.postMessage(report);
});
