import { expect, it } from 'vitest';
import { EXPERIMENTS, feasible } from '../../../scripts/chaos/experiments.ts';
import { USUAL_SHARES, withMoreEvents } from '../../../scripts/chaos/load.ts';

it('gives each experiment a name of its own', () => {
  const names = EXPERIMENTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

it('leaves out by name and with a reason what the machine lacks', () => {
  const all = feasible({ server: true, disk: true });
  expect(all.experiments).toEqual(EXPERIMENTS);
  const embedded = feasible({ server: false, disk: false });
  const missing = EXPERIMENTS.filter(({ fault }) => fault.needs !== undefined).map(({ name }) => name);
  expect(missing).toEqual(['database-killed', 'disk-full']);
  expect(embedded.experiments.map(({ name }) => name)).not.toEqual(expect.arrayContaining(missing));
  const leftOut = embedded.leftOut.map(({ name }) => name);
  expect(leftOut).toEqual([...missing, ...all.leftOut.map(({ name }) => name)]);
  for (const { reason } of embedded.leftOut) expect(reason).not.toBe('');
});

it('sends as much of everything else in a storm of events', () => {
  const usual = { perSecond: 100, shares: USUAL_SHARES, isHot: false };
  const storm = withMoreEvents(usual, 10);
  const perSecond = (operation: keyof typeof USUAL_SHARES) => storm.perSecond * storm.shares[operation];
  expect(perSecond('event')).toBeCloseTo(10 * 100 * USUAL_SHARES.event);
  expect(perSecond('bounded read')).toBeCloseTo(100 * USUAL_SHARES['bounded read']);
  expect(Object.values(storm.shares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
});
