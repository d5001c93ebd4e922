import { expect, it } from 'vitest';
import { FAULTS } from '../../scripts/verify/faults.ts';
import { verifyCoherence } from '../support/node/verify-coherence.ts';

/** More than what bounded readers are owed of unannounced commits, which the fault of the relay shows in. */
const SECONDS = '40';

it.each(Object.keys(FAULTS))('finds the fault "%s"', (fault) => {
  const args = ['--seconds', SECONDS, '--reads', '2000', '--broken', fault];
  const { status, output } = verifyCoherence(...args);
  expect(output).toMatch(/violations: [1-9]/);
  expect(status).toBe(0);
});
