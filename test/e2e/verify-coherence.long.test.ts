import { expect, it } from 'vitest';
import { FAULTS } from '../../scripts/verify/faults.ts';
import { verifyCoherence } from '../support/node/verify-coherence.ts';

/** More than what bounded readers are owed of unannounced commits, which the fault of the relay shows in. */
const SECONDS = '40';

/** Each run takes one to two minutes, which CI has no time for: run them with VERIFY_FAULTS=1. */
const isWanted = process.env['VERIFY_FAULTS'] === '1';
const title = isWanted ? 'finds the fault "%s"' : 'finds the fault "%s" (skipped: VERIFY_FAULTS is not 1)';

it.skipIf(!isWanted).each(Object.keys(FAULTS))(title, { timeout: 600_000 }, (fault) => {
  const args = ['--seconds', SECONDS, '--reads', '2000', '--broken', fault];
  const { status, output } = verifyCoherence(...args);
  expect(output).toMatch(/violations: [1-9]/);
  expect(status).toBe(0);
});
