import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { assemble } from '../../../src/define/catalog.ts';
import { earlierView } from '../../../src/define/earlier-view.ts';
import { tag } from '../../../src/define/tag.ts';
import { validateCatalog } from '../../../src/define/validate.ts';
import { AnswerMismatch, type Database, view } from '../../../src/define/view.ts';
import { mistakeOf } from '../../support/catalog-mistakes.ts';

const NO_DB = {} as Database;
const station = view({
  name: 'station',
  path: '/v3/stations/{id}',
  description: 'A station.',
  params: { id: z.string() },
  query: { docks: z.stringbool().default(false) },
  response: z.object({ id: z.string(), docks: z.int().nullable() }),
  load: async (_, { id, docks }) => (id === 'none' ? null : { id, docks: docks ? 12 : null }),
  tags: ({ id }, found) => [tag(found === null ? `station:${id}` : `station:${found.id}`)],
});
const earlier = (path: `/v${number}/${string}`, more: object = {}) =>
  earlierView(station, {
    name: 'station-v1',
    path,
    deprecated: { since: '2026-11-28' },
    query: { withDocks: z.stringbool().default(false) },
    up: ({ withDocks }) => ({ docks: withDocks }),
    response: z.object({ id: z.string(), docks: z.number() }),
    down: ({ id, docks }) => ({ id, docks: docks ?? 0 }),
    ...more,
  });
const whole = { variant: {}, principal: undefined, now: 0, features: {} };

describe('an earlier version', () => {
  const v1 = earlier('/v1/stations/{id}');

  it('casts the query up and the answer down, and has the tags of the current version', async () => {
    expect(await v1.load(NO_DB, { ...whole, input: { id: 'a', withDocks: true } })).toEqual({
      value: { id: 'a', docks: 12 },
      tags: ['station:a'],
      storable: true,
    });
    expect(await v1.load(NO_DB, { ...whole, input: { id: 'none', withDocks: true } })).toMatchObject({
      value: null,
      tags: ['station:none'],
    });
  });

  it('has the policy and the access of the current version, and names it', () => {
    const { policy, isPublic, params, path } = station;
    expect(v1).toMatchObject({ isPublic, params, replaced: { by: path, since: '2026-11-28' } });
    expect(v1.policy).toEqual(policy);
  });

  it('answers by its own schema', async () => {
    const wrong = earlier('/v1/stations/{id}', { down: () => ({ id: 'a', docks: 'many' }) });
    await expect(wrong.load(NO_DB, { ...whole, input: { id: 'a' } })).rejects.toThrow(AnswerMismatch);
  });

  it('ends after it is deprecated', () => {
    const deprecated = { since: '2026-11-28', sunset: '2026-01-01' };
    expect(mistakeOf(earlier('/v1/stations/{id}', { deprecated }))).toContain('lies before the deprecation');
  });
});

it('there is no version 2: its paths belong to the Open Inference Protocol', () => {
  const mistakes = (path: `/v${number}/${string}`) =>
    validateCatalog(assemble({ views: { station, old: earlier(path) } })).map(({ problem }) => problem);
  expect(mistakes('/v2/stations/{id}')).toEqual([
    'The path "/v2/stations/{id}" has version 2, which belongs to the Open Inference Protocol.',
  ]);
  expect(mistakes('/v0/stations/{id}')).toEqual(['The path "/v0/stations/{id}" is not well-formed.']);
  for (const path of ['/v1/stations/{id}', '/v4/stations/{id}', '/v12/stations/{id}'] as const)
    expect(mistakes(path)).toEqual([]);
});
