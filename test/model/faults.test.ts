import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS } from '../simulation/faults.ts';
import { MODEL_FAULTS } from './faults.ts';

it('has an entry for every fault that the model can state, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, 'Coherence.tla'), 'utf8');
  const stated = [...text.matchAll(/Fault\("([^"]+)"\)/g)].map(([, name]) => name);
  expect(MODEL_FAULTS.map(({ fault }) => fault).sort()).toEqual([...new Set(stated)].sort());
});

it('names faults of the simulation by their names', () => {
  const names = FAULTS.map(({ name }) => name);
  for (const { simulated } of MODEL_FAULTS) if (simulated !== undefined) expect(names).toContain(simulated);
});

it('lists every fault in the README, with the invariant and the states of its counterexample', () => {
  const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
  for (const { fault, breaks, depth } of MODEL_FAULTS)
    expect(readme).toContain(`| ${fault} | \`${breaks}\` | ${depth} |`);
});
