/** How long the built worker takes to start, against the platform's limit: `npm run bench:startup`. */
import { readOptions } from '../scripts/command-line/options.ts';
import { readOrExit } from '../scripts/command-line/run.ts';
import { measureStartup, STARTUP_LIMIT_MS } from './support/startup.ts';

const ROUNDS = 7;

readOrExit(() => readOptions({ command: 'npm run bench:startup', options: {} }));
const { workerMs, referenceMs, ratio } = measureStartup(ROUNDS);
console.log(
  `The worker starts in ${workerMs.toFixed(0)} ms, ${((100 * workerMs) / STARTUP_LIMIT_MS).toFixed(0)} % of the limit of ` +
    `${STARTUP_LIMIT_MS} ms. The reference starts in ${referenceMs.toFixed(0)} ms: ratio ${ratio.toFixed(1)}.`,
);
