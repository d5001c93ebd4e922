import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { event } from '../../../src/define/event.ts';
import { earlierVersion } from '../../../src/define/version.ts';
import { asCurrent } from '../../../src/pipeline/contracts/versions.ts';
import { judge } from '../../../src/pipeline/judge.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const NOW = Date.parse('2026-11-01T00:00:00Z');

/** One name at first, then two, then with a greeting that may not be empty. */
const v1 = earlierVersion({
  version: 1,
  data: z.object({ name: z.string().min(1) }),
  upcast: ({ name }) => {
    const [first = '', ...others] = name.split(' ');
    return { first, last: others.join(' ') };
  },
});
const v3 = earlierVersion({
  version: 3,
  data: z.object({ first: z.string(), last: z.string().default('') }),
  upcast: ({ first, last }) => ({ first, last, greeting: first === 'Nobody' ? '' : `Dear ${first}` }),
  earlier: v1,
  deprecated: { since: '2026-01-01', sunset: '2027-01-01' },
});
const greeted = event({
  type: 'test.greeted',
  version: 4,
  description: 'Somebody was greeted.',
  data: z.object({ first: z.string(), last: z.string(), greeting: z.string().min(1) }),
  earlier: v3,
  stores: () => [],
});
const types = new Map([greeted, ...greeted.earlier].map((definition) => [definition.type, definition]));
const judged = (type: string, data: unknown) =>
  judge(types, { specversion: '1.0', id: '1', source: '/t', type, data }, NOW);

describe('versions of an event type', () => {
  it.each([
    ['test.greeted.v1', { name: 'Ada King Lovelace' }],
    ['test.greeted.v3', { first: 'Ada', last: 'King Lovelace' }],
    ['test.greeted.v4', { first: 'Ada', last: 'King Lovelace', greeting: 'Dear Ada' }],
  ])('%s is stored as the current one, through every step between', (type, data) => {
    expect(judged(type, data)).toMatchObject({
      verdict: 'accepted',
      event: {
        type: 'test.greeted.v4',
        data: { first: 'Ada', last: 'King Lovelace', greeting: 'Dear Ada' },
        ...(type === 'test.greeted.v4' ? {} : { sentAs: type }),
      },
    });
  });

  it('distinguishes data that break their own version from data that a later version refuses', () => {
    expect(judged('test.greeted.v1', { name: '' })).toMatchObject({
      refusal: { reason: 'contract_violation', pointer: '/data/name' },
    });
    expect(judged('test.greeted.v1', { name: 'Nobody' })).toMatchObject({
      refusal: { code: 'contract_violation', reason: 'upcast_failed', pointer: '/data/greeting' },
    });
  });

  it('names the accepted versions in the refusal of another', () => {
    expect(judged('test.greeted.v2', {})).toMatchObject({
      refusal: {
        code: 'unknown_event_version',
        pointer: '/type',
        detail: expect.stringContaining('test.greeted.v1, test.greeted.v3, test.greeted.v4'),
      },
    });
    expect(judged('test.greeted', {})).toMatchObject({ refusal: { code: 'unknown_event_version' } });
    expect(judged('test.other.v1', {})).toMatchObject({ refusal: { code: 'unknown_event_type' } });
  });

  it('reads events that were stored before the current version existed', () => {
    const stored = { seq: 7, type: 'test.greeted.v3', data: { first: 'Ada' } };
    expect(asCurrent(types, stored)).toEqual({
      seq: 7,
      type: 'test.greeted.v4',
      data: { first: 'Ada', last: '', greeting: 'Dear Ada' },
    });
    const unreadable = { type: 'test.greeted.v3', data: {} };
    expect(asCurrent(types, unreadable)).toBe(unreadable);
  });

  it('are declared in order, with dates that make sense', () => {
    const data = z.object({});
    const plain = { description: '', data, stores: () => [] };
    expect(mistakeOf(event({ ...plain, type: 'a', version: 1, earlier: v3 as never }))).toContain('earlier');
    expect(mistakeOf(event({ ...plain, type: 'a', version: 0 }))).toContain('Its version is 0.');
    const deprecated = { since: '2027-01-02', sunset: '2027-01-01' };
    expect(mistakeOf(event({ ...plain, type: 'a', version: 1, deprecated }))).toContain(
      'before the deprecation',
    );
    expect(mistakeOf(event({ ...plain, type: 'a', version: 1, deprecated: { since: 'soon' } }))).toContain(
      'not a day',
    );
  });
});
