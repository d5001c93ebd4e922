/**
 * Looks for a request that gets the answer of another: `node test/support/isolation/run.ts SEED RUNS [--brief]`. Ends with
 * status 1 and a sequence that breaks isolation: the shortest that it finds, or the first with `--brief`.
 */
import { isolationHolds } from './property.ts';

const [seed = '1', runs = '100', brief] = process.argv.slice(2);
const { requests, answered, mistake } = await isolationHolds(Number(seed), Number(runs), brief === undefined);
console.log(`${requests} requests, ${answered} answered.`);
if (mistake !== undefined) console.log(`Isolation is broken. ${mistake}`);
process.exit(mistake === undefined ? 0 : 1);
