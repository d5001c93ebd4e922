import * as z from 'zod';
import { defineCatalog } from '../../../src/define/define-catalog.ts';
import { earlierView } from '../../../src/define/earlier-view.ts';
import type { Claims, Principal, Scope } from '../../../src/define/principal.ts';
import { tag } from '../../../src/define/tag.ts';
import { acceptLanguage } from '../../../src/define/vary.ts';
import { view } from '../../../src/define/view.ts';

/** Ids of rows, and values of claims. Many of them collide in a key, a comparison or an address that is made carelessly. */
export const IDS = [
  'a',
  'b',
  'A',
  'null',
  '*',
  'undefined',
  '__proto__',
  'a,b',
  'a"',
  '"a"',
  'a","second":"b',
  'b"],{"@owner":"a',
  'a|b',
  'a b',
  'a\\',
  '%61',
  'a/b',
  '..',
  '\u00e9',
  'e\u0301',
  '\u{1f600}',
  '\uff41',
] as const;
/** Ids that some careless step would take for each other. */
export const ALIKE: readonly (readonly string[])[] = [
  ['a', 'b', 'a","second":"b'],
  ['null', '*', 'a'],
  ['a', 'A', '\uff41'],
  ['\u00e9', 'e\u0301'],
  ['a', '%61', '..'],
  ['a', 'a"', '"a"'],
];
/** No row has an id that begins with this. */
export const MISSING = 'missing-';

/** An answer names everything that it was made of, so that a reader of another one is found. */
export const Answer = z.object({
  deployment: z.string(),
  view: z.string(),
  /** The parameters. */
  asked: z.array(z.string()),
  /** The owner of the rows, or the principal; null if the answer is for everybody. */
  of: z.string().nullable(),
  language: z.string().nullable(),
});
export type Answer = z.output<typeof Answer>;

/** A principal as answers name it: by everything that tells it from others. */
export function principalText(id: string, scopes: Iterable<Scope>, claims: Claims): string {
  return JSON.stringify([id, [...scopes].sort(), Object.entries(claims).sort()]);
}

function namedPrincipal(principal: Principal): string {
  if (principal.kind === 'anonymous') return principal.kind;
  return principalText(principal.id, principal.scopes, principal.claims);
}

const TAGS = [tag('isolation')];
const Id = z.string().min(1).max(64);
const ALL_TIERS = { tiers: ['memory', 'colo', 'kv'], whenUnverified: 'stale' } as const;

/**
 * The views of a deployment: public and closed, with rows of the request, rows of the reader, the principal, languages,
 * grains of time and an earlier version.
 *
 * @param claim limits the rows of a reader who does not name them.
 */
export function catalogueOf(deployment: string, claim: 'tenant' | 'team') {
  const answer = (name: string, asked: string[], more: Partial<Answer> = {}): Answer | null =>
    asked.some((id) => id.startsWith(MISSING))
      ? null
      : { deployment, view: name, asked, of: null, language: null, ...more };
  const open = view({
    name: 'open',
    path: '/v1/open/{id}',
    description: 'For everybody, in the language of the reader.',
    public: true,
    params: { id: Id },
    query: { second: Id.optional() },
    vary: { language: acceptLanguage(['en', 'de'], 'en') },
    cache: ALL_TIERS,
    response: Answer,
    load: async (_, { id, second = '' }, { variant: { language } }) =>
      answer('open', [id, second], { language }),
    tags: () => TAGS,
  });
  const closed = view({
    name: 'closed',
    path: '/v1/closed/{id}/{second}',
    description: 'For every key that is not limited to rows.',
    params: { id: Id, second: Id },
    response: Answer,
    load: async (_, { id, second }) => answer('closed', [id, second]),
    tags: () => TAGS,
  });
  const rows = view({
    name: 'rows',
    path: '/v1/rows/{id}',
    description: 'The rows of the tenant in the path.',
    params: { id: Id },
    query: { second: Id.optional() },
    rows: { claim: 'tenant', of: ({ id }) => id },
    cache: ALL_TIERS,
    response: Answer,
    load: async (_, { id, second = '' }) => answer('rows', [id, second], { of: id }),
    tags: () => TAGS,
  });
  const asked = view({
    name: 'asked',
    path: '/v3/asked',
    description: 'The rows of the tenant in the query.',
    query: { owner: Id },
    rows: { claim: 'tenant', of: ({ owner }) => owner },
    response: Answer,
    load: async (_, { owner }) => answer('asked', [owner], { of: owner }),
    tags: () => TAGS,
  });
  /** Calls the owner `second`, and has another parameter with the name of the newer version's owner. */
  const askedV1 = earlierView(asked, {
    name: 'asked-v1',
    path: '/v1/asked',
    deprecated: { since: '2026-11-01', sunset: '2027-11-01' },
    query: { owner: Id, second: Id },
    up: ({ second }) => ({ owner: second }),
    response: Answer,
    down: (current) => ({ ...current, view: 'asked-v1' }),
  });
  const own = view({
    name: 'own',
    path: '/v1/own',
    description: 'The rows of the reader.',
    query: { second: Id.optional() },
    ownRows: claim,
    cache: ALL_TIERS,
    response: Answer,
    load: async (_, { second = '' }, { owner }) =>
      answer('own', [second], { of: JSON.stringify([claim, owner]) }),
    tags: () => TAGS,
  });
  const ownByHour = view({
    name: 'own-by-hour',
    path: '/v1/own-by-hour',
    description: 'The rows of the reader, of an hour.',
    now: { granularityS: 3_600 },
    vary: { language: acceptLanguage(['en', 'de'], 'en') },
    ownRows: claim,
    response: Answer,
    load: async (_, __, { owner, variant: { language } }) =>
      answer('own-by-hour', [], { of: JSON.stringify([claim, owner]), language }),
    tags: () => TAGS,
  });
  const me = view({
    name: 'me',
    path: '/v1/me',
    description: 'Shows every reader who they are.',
    public: true,
    principal: true,
    cache: ALL_TIERS,
    response: Answer,
    load: async (_, __, { principal }) => answer('me', [], { of: namedPrincipal(principal) }),
    tags: () => TAGS,
  });
  const mine = view({
    name: 'mine',
    path: '/v1/mine/{id}',
    description: 'Belongs to the key that reads it.',
    principal: true,
    params: { id: Id },
    response: Answer,
    load: async (_, { id }, { principal }) => answer('mine', [id], { of: namedPrincipal(principal) }),
    tags: () => TAGS,
  });
  return defineCatalog({ views: { open, closed, rows, asked, askedV1, own, ownByHour, me, mine } });
}
