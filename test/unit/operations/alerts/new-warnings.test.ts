import { describe, expect, it } from 'vitest';
import type { Silence } from '../../../../src/operations/alerts/silences.ts';
import { newWarnings, warningsIn } from '../../../../src/operations/alerts/warnings.ts';

const HOUR_MS = 3_600_000;
const quiet = { name: 'read_latency', burnsInMinutes: null };
const burning = { name: 'availability', burnsInMinutes: 90 };
const slower = { name: 'GET /v1/products', against: 'deploy', before: 10, now: 25, oneIn: 156_849 } as const;
const silence: Silence = {
  ...{ id: 's', kind: 'silence', author: 'key:a', comment: '', startsMs: 0, endsMs: HOUR_MS },
  matchers: [{ label: 'alertname', is: '=', value: 'MillraceRegression' }],
};

describe('warnings', () => {
  it('are of what will burn, and of what has become slower or more expensive', () => {
    const of = (name: string) => ({ ...slower, name, against: 'days' as const });
    const found = warningsIn([quiet, burning], [slower, of('view product'), of('service database')]);
    expect(found.map(({ name, labels }) => [name, labels])).toEqual([
      ['MillraceBudgetWillBurn', { objective: 'availability' }],
      ['MillraceRegression', { of: 'GET /v1/products', against: 'deploy' }],
      ['MillraceRegression', { of: 'view product', against: 'days' }],
      ['MillraceRegression', { of: 'service database', against: 'days' }],
    ]);
    expect(found.map(({ summary }) => summary)).toEqual([
      expect.stringContaining('availability will burn faster than it may in 1.5 h'),
      'GET /v1/products takes 25.0 ms in place of 10.0 ms before the newest deploy.',
      expect.stringMatching(/^view product takes 25.0 reads of the origin for an answer in place of 10.0/),
      expect.stringMatching(/^service database takes 25.0 calls for a request in place of 10.0/),
    ]);
  });

  it('are told once while they go on, and again after a day without them', () => {
    const found = warningsIn([burning], [slower]);
    let { fresh, told } = newWarnings({}, found, [], 0);
    expect(fresh).toEqual(found);
    for (let hour = 1; hour <= 30; hour += 1) {
      ({ fresh, told } = newWarnings(told, found, [], hour * HOUR_MS));
      expect(fresh).toEqual([]);
    }
    ({ fresh, told } = newWarnings(told, [], [], 53 * HOUR_MS));
    expect(newWarnings(told, found, [], 53.5 * HOUR_MS).fresh).toEqual([]);
    expect(newWarnings(told, found, [], 54 * HOUR_MS).fresh).toEqual(found);
  });

  it('that a silence withholds are told when it has ended', () => {
    const [trend, regression] = warningsIn([burning], [slower]);
    const during = newWarnings(
      {},
      [trend, regression].flatMap((of) => of ?? []),
      [silence],
      0,
    );
    expect(during.fresh).toEqual([trend]);
    const after = newWarnings(
      during.told,
      [trend, regression].flatMap((of) => of ?? []),
      [silence],
      HOUR_MS,
    );
    expect(after.fresh).toEqual([regression]);
  });

  it('are at most a hundred', () => {
    const many = Array.from({ length: 150 }, (_, at) => ({ ...slower, name: `GET /v1/${at}` }));
    expect(newWarnings({}, warningsIn([], many), [], 0).fresh).toHaveLength(100);
  });
});
