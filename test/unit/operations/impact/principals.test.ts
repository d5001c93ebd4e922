import { describe, expect, it } from 'vitest';
import { DEPRECATED_REQUESTS } from '../../../../src/operations/deprecations.ts';
import { answerOf } from '../../../../src/operations/impact/answer.ts';
import { type PrincipalPorts, principalsOf } from '../../../../src/operations/impact/principals.ts';
import { withTimeout } from '../../../../src/platform/clock.ts';
import { Failure } from '../../../../src/platform/failure.ts';
import { graphOf, routesOf } from '../../../support/impact.ts';
import { FIXTURE } from '../../../support/node/fixture.ts';

const graph = await graphOf(FIXTURE.catalog);
const routes = routesOf(FIXTURE.catalog);
const NOW = 1_767_225_600_000;
const VERSIONS = [
  { version: 'products-v1', of: 'view:products' },
  { version: 'shop.purchase.v1', of: 'event:shop.purchase' },
];
const requests = (version: string, principal: string, value: number) => ({
  ...{ name: DEPRECATED_REQUESTS, labels: { version, principal }, value },
});
const key = (id: string, more: Partial<Awaited<ReturnType<PrincipalPorts['keys']>>[number]> = {}) => ({
  ...{ id, scopes: ['data:read' as const], expiresAtMs: null, revokedAtMs: null, lastUsedAtMs: null },
  ...more,
});

/** The principals of a change of an element, and which sources were asked. */
async function asked(element: string, more: Partial<PrincipalPorts> = {}) {
  const sources: string[] = [];
  const ports: PrincipalPorts = {
    now: () => NOW,
    withTimeout,
    counters: async () => {
      sources.push('counters');
      const totals = [requests('products-v1', 'key:a', 7), requests('shop.purchase.v1', 'key:b', 2)];
      return { totals, windows: { 1: [], 5: [], 60: [] }, isolates: { active: 1, memoryBytes: 0 } };
    },
    keys: async () => {
      sources.push('keys');
      return [
        key('a', { lastUsedAtMs: NOW }),
        key('writer', { scopes: ['data:write', 'events:write'] }),
        key('revoked', { revokedAtMs: 1 }),
        key('expired', { expiresAtMs: NOW }),
      ];
    },
    ...more,
  };
  return {
    ...(await principalsOf(graph, answerOf(graph, element, 'down'), routes, VERSIONS, ports)),
    sources,
  };
}

it('are those who used a deprecated version, and whose keys open a route', async () => {
  const { seen, mayUse, sources } = await asked('column:customers.country');
  expect(seen).toEqual([{ principal: 'key:b', uses: 'shop.purchase.v1', total: 2, lastHour: 0 }]);
  expect(mayUse).toEqual([
    { principal: 'key:a', scopes: ['data:read'], lastUsedAt: new Date(NOW).toISOString() },
    { principal: 'key:writer', scopes: ['data:write', 'events:write'], lastUsedAt: null },
  ]);
  expect(sources.sort()).toEqual(['counters', 'keys']);
});

it('are those who may send what writes a column', async () => {
  const keys = async () => [key('till', { scopes: ['events:write'] })];
  const { mayUse } = await asked('column:purchases.invoice', { keys });
  expect(mayUse).toMatchObject([{ principal: 'key:till', scopes: ['events:write'] }]);
});

it('of a field are those of its event', async () => {
  expect((await asked('field:shop.purchase.country')).seen).toMatchObject([{ principal: 'key:b' }]);
});

it('costs no call where nothing is kept', async () => {
  const { seen, mayUse, sources, unknown } = await asked('alert:MillraceAvailabilityBurns');
  expect([seen, mayUse, sources]).toEqual([[], [], []]);
  expect(unknown.length).toBeGreaterThan(1);
});

describe('a source that does not answer', () => {
  it.each<[string, () => Promise<never>]>([
    ['fails', () => Promise.reject(new Failure('database_unavailable', 'Away.'))],
    ['hangs', () => new Promise(() => undefined)],
  ])('is said to be missing if it %s', async (_, source) => {
    const startedAt = performance.now();
    const { seen, mayUse, unknown } = await asked('view:products', { counters: source, keys: source });
    expect([seen, mayUse]).toEqual([[], []]);
    expect(unknown).toContain(
      'The counts of deprecated versions could not be read, so principals may be missing.',
    );
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('does not hide a fault of the program', async () => {
    await expect(
      asked('view:products', { counters: () => Promise.reject(new TypeError('a bug')) }),
    ).rejects.toThrow('a bug');
  });
});
