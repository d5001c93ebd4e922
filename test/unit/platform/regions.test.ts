import { describe, expect, it } from 'vitest';
import { regionOf } from '../../../src/platform/regions.ts';

describe('the region of a request', () => {
  it.each([
    ['Seattle', { continent: 'NA', country: 'US', longitude: '-122.3' }, 'wnam'],
    ['New York', { continent: 'NA', country: 'US', longitude: '-74.0' }, 'enam'],
    ['somewhere in North America', { continent: 'NA', country: 'CA' }, 'enam'],
    ['São Paulo', { continent: 'SA', country: 'BR', longitude: '-46.6' }, 'sam'],
    ['London', { continent: 'EU', country: 'GB', longitude: '-0.1' }, 'weur'],
    ['Warsaw', { continent: 'EU', country: 'PL', longitude: '21.0' }, 'eeur'],
    ['Tokyo', { continent: 'AS', country: 'JP', longitude: '139.7' }, 'apac'],
    ['Dubai', { continent: 'AS', country: 'AE', longitude: '55.3' }, 'me'],
    ['Sydney', { continent: 'OC', country: 'AU', longitude: '151.2' }, 'oc'],
    ['Antarctica', { continent: 'AN' }, 'oc'],
    ['Lagos', { continent: 'AF', country: 'NG', longitude: '3.4' }, 'afr'],
    ['Tor', { continent: 'T1' }, 'enam'],
    ['nowhere', {}, 'enam'],
    ['a longitude that is none', { continent: 'EU', longitude: 'x' }, 'weur'],
  ])('%s', (_, place, region) => {
    expect(regionOf(place)).toBe(region);
  });
});
