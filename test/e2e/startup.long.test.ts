import { expect, it } from 'vitest';
import { measureStartup } from '../../bench/support/startup.ts';
import { IS_PART } from '../support/node/part.ts';

/**
 * In starts of the reference worker, whose work is fixed. The built worker takes about one of them, and up to five where
 * other tests run beside one start. The platform's limit of 1 s is about 13 on the machine of the benchmarks
 * (docs/benchmarks.md).
 */
const RATIO_MAX = 6;

it('the built worker starts within a fraction of the time that the platform allows', () => {
  expect(measureStartup(IS_PART ? 1 : 3).ratio).toBeLessThan(RATIO_MAX);
});
