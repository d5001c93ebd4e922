/**
 * Compares joins with the naive one: `node test/support/point-in-time/run.ts SEED RUNS [--brief]`. Ends with
 * status 1 and a value that differs, of the shortest history that has one, or of the first with `--brief`.
 */
import { joinHolds } from './property.ts';

const [seed = '1', runs = '100', brief] = process.argv.slice(2);
const { mistake } = await joinHolds(Number(seed), Number(runs), brief === undefined);
if (mistake !== undefined) console.log(`The join is wrong. ${mistake}`);
process.exit(mistake === undefined ? 0 : 1);
