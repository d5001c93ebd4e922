import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundle } from '../../bench/support/runtime.ts';
import { FAULTS, type Fault, isFault, withFault } from '../../scripts/verify/faults.ts';
import { FIXTURE } from '../support/node/fixture.ts';

it('can plant every fault in the bundle, and reports a fault that it cannot plant', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bundle-'));
  try {
    bundle(FIXTURE.main, '--outdir', folder);
    const text = readFileSync(join(folder, 'index.js'), 'utf8');
    for (const name of Object.keys(FAULTS).filter(isFault)) expect(withFault(text, name)).not.toBe(text);
    const gone: Fault = 'age';
    expect(() => withFault('', gone)).toThrow('The fault "age" cannot be planted');
    // The pattern is there, and what takes its place is no JavaScript.
    const broken = 'function isValid(clock, entry, tags) { }}';
    expect(() => withFault(broken, 'validity')).toThrow('The fault "validity" cannot be planted');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
