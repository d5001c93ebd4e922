import { describe, expect, it } from 'vitest';
import { networkOf } from '../../../src/gateway/limits/address.ts';
import { BASE_UNITS, MEASURED_MS, predictionUnits, unitsOf } from '../../../src/gateway/limits/weights.ts';

describe('the network of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:ffff::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
  ])('%s counts in %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('the cost of a request', () => {
  it('follows its measured CPU time', () => {
    expect(unitsOf('hit')).toBe(1);
    expect(unitsOf('fill')).toBe(Math.ceil(MEASURED_MS.fill / MEASURED_MS.hit));
    expect(unitsOf('featuresOfKey', 100)).toBe(400);
    for (const units of Object.values(BASE_UNITS)) expect(units).toBeGreaterThanOrEqual(1);
  });

  it('grows with the items that a prediction states, and a false statement lowers it to that of one item at most', () => {
    expect(predictionUnits(200)).toBeGreaterThan(predictionUnits(1) + 200);
    for (const stated of [-1, 0, Number.NaN, 'x', null, undefined, {}])
      expect(predictionUnits(stated)).toBe(predictionUnits(1));
    expect(predictionUnits(1e300)).toBe(predictionUnits(100_000));
  });
});
