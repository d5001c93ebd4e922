import { describe, expect, it } from 'vitest';
import { type Contract, compareContracts } from '../../../../src/pipeline/contracts/releases.ts';

const TODAY = '2027-06-30';
const object = (properties: object, required: string[]): Contract['schema'] => ({
  type: 'object',
  properties,
  required,
});
const contract = (type: string, schema: Contract['schema'], sunset?: string): Contract => ({
  type,
  schema,
  ...(sunset === undefined ? {} : { deprecated: { since: '2027-01-01', sunset } }),
});
const before = object({ sku: { type: 'string' }, n: { type: 'integer', minimum: 0 } }, ['sku']);

describe('contracts since their release', () => {
  it('lists each break, with its place and kind', () => {
    const after = object({ sku: { type: 'string', maxLength: 8 }, n: { type: 'integer', minimum: 1 } }, [
      'sku',
      'n',
    ]);
    const [change] = compareContracts([contract('a.v1', before)], [contract('a.v1', after)], TODAY);
    expect(change?.state).toBe('breaking');
    expect(change?.findings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          pointer: '/properties/n/minimum',
          rule: 'bound_tightened',
          old: 0,
          new: 1,
        }),
        expect.objectContaining({ pointer: '/properties/sku/maxLength', rule: 'bound_tightened', new: 8 }),
        expect.objectContaining({ pointer: '/required', rule: 'required_added' }),
      ]),
    );
  });

  it('allows any new version, as long as the released one stays', () => {
    const next = contract('a.v2', object({ other: { type: 'boolean' } }, ['other']));
    expect(
      compareContracts([contract('a.v1', before)], [contract('a.v1', before), next], TODAY),
    ).toMatchObject([{ state: 'unchanged' }, { type: 'a.v2', state: 'new', findings: [] }]);
    expect(compareContracts([contract('a.v1', before)], [next], TODAY)).toMatchObject([
      { type: 'a.v1', state: 'breaking', findings: [{ rule: 'version_removed' }] },
      { type: 'a.v2', state: 'new' },
    ]);
  });

  it('allows the removal of a version after its released sunset', () => {
    const gone = (sunset: string) =>
      compareContracts([contract('a.v1', before, sunset)], [], TODAY)[0]?.state;
    expect(gone('2027-06-30')).toBe('ended');
    expect(gone('2027-07-01')).toBe('breaking');
    const [sooner] = compareContracts(
      [contract('a.v1', before, '2028-01-01')],
      [contract('a.v1', before, '2027-07-01')],
      TODAY,
    );
    expect(sooner).toMatchObject({ state: 'breaking', findings: [{ rule: 'sunset_brought_forward' }] });
  });
});
