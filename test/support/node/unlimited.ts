import { DEFAULT_LIMITS } from '../../../src/define/limits.ts';
import { Charging } from '../../../src/gateway/limits/charging.ts';
import { systemTime } from '../../../src/platform/clock.ts';

/** Charges nobody, for tests of routes without objects. */
export function unlimited(): Charging {
  const asked = () => Promise.reject(new Error('Nobody is charged.'));
  return new Charging(DEFAULT_LIMITS, systemTime, asked, () => undefined, false);
}
