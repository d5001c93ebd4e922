/**
 * Loaded before each test file of the unit tests, which share their modules: without time no breaker opens, so what one file lets
 * fail refuses no call of the next one.
 */
import { resetBreakers } from '../../../src/platform/breakers.ts';

resetBreakers(() => 0);
