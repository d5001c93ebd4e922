import { describe, expect, it, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/define/limits.ts';
import { ANONYMOUS, type KeyHolder } from '../../../src/define/principal.ts';
import { type Ask, Charging, LOOKUPS_OF_ADDRESS_MAX } from '../../../src/gateway/limits/charging.ts';
import type { Answer, Question } from '../../../src/limits/bucket.ts';
import { Bucket } from '../../../src/limits/bucket.ts';
import type { RatePolicy } from '../../../src/limits/policy.ts';
import { systemTime } from '../../../src/platform/clock.ts';

const ctx = { waitUntil: () => undefined };
const from = (address?: string) => ({
  http: new Request('http://x/', { headers: address === undefined ? {} : { 'cf-connecting-ip': address } }),
  ctx,
});

/** An object that answers at once. */
function answering() {
  const buckets = new Map<string, Bucket>();
  const asked: { readonly partition: string; readonly question: Question }[] = [];
  const ask: Ask = async ({ partition, policy }, question): Promise<Answer> => {
    asked.push({ partition, question });
    const bucket = buckets.get(partition) ?? new Bucket(policy as RatePolicy, 0);
    buckets.set(partition, bucket);
    return bucket.ask(question, policy as RatePolicy, 0);
  };
  return { ask, asked };
}
const charging = (ask: Ask, limits = DEFAULT_LIMITS) =>
  new Charging(limits, systemTime, ask, () => undefined);
const key = (id: string): KeyHolder => ({ kind: 'key', id, scopes: new Set(), claims: {} });

describe('look-ups of keys', () => {
  it('are a few at a time for one address, so that a stranger leaves look-ups to others', async () => {
    const charged = charging(answering().ask);
    const started: string[] = [];
    const hanging = (id: string, address: string) =>
      charged.lookUp(from(address), id, () => {
        started.push(id);
        return new Promise<never>(() => undefined);
      });
    const random = Array.from({ length: 20 }, (_, index) => hanging(`id-${index}`, '192.0.2.1'));
    const refused = await Promise.all(
      random.slice(LOOKUPS_OF_ADDRESS_MAX).map((looking) => looking.catch((error: unknown) => error)),
    );
    for (const failure of refused) expect(failure).toMatchObject({ code: 'rate_limited', retryAfterS: 1 });
    await vi.waitFor(() => expect(started).toHaveLength(LOOKUPS_OF_ADDRESS_MAX));
    // Requests of a key that is being looked up share its look-up, and another address has look-ups of its own.
    for (const [id, address] of [
      ['id-0', '192.0.2.1'],
      ['id-30', '192.0.2.2'],
    ] as const) {
      void hanging(id, address);
      await vi.waitFor(() => expect(started.at(-1)).toBe(id));
    }
  });

  it('of ids that do not exist cost their address twenty at once, and then two a second', async () => {
    const charged = charging(answering().ask);
    let absent = 0;
    const outcome = async () => {
      for (;;) {
        await charged.lookUp(from('192.0.2.1'), `id-${absent}`, async () => null);
        absent += 1;
      }
    };
    await expect(outcome()).rejects.toMatchObject({ code: 'rate_limited' });
    expect(absent).toBeGreaterThan(10);
    expect(absent).toBeLessThan(30);
  });
});

describe('a request is charged to', () => {
  it('its key, whatever its address; an operator to nobody', async () => {
    const { ask, asked } = answering();
    const charged = charging(ask);
    const charge = { cost: 'write', units: 5_000 } as const;
    expect((await charged.charge(from('192.0.2.1'), key('a'), charge))?.budget.kind).toBe('key');
    expect(new Set(asked.map(({ partition }) => partition))).toEqual(new Set(['key:a']));
    const before = asked.length;
    expect(await charged.charge(from('192.0.2.1'), key('bootstrap'), charge)).toBeUndefined();
    expect(asked).toHaveLength(before);
  });

  it('its address and all readers without a key', async () => {
    const { ask, asked } = answering();
    const charge = { cost: 'prediction', units: 50_000 } as const;
    await charging(ask).charge(from('2001:db8::1'), ANONYMOUS, charge);
    expect([...new Set(asked.map(({ partition }) => partition))]).toEqual(['2001:db8:0:0::/64', 'anonymous']);
  });

  it('a limit of its class first, if the catalog states one', async () => {
    const { ask, asked } = answering();
    const limits = { ...DEFAULT_LIMITS, classes: { prediction: { perSecond: 10, burstS: 10 } } };
    const charged = charging(ask, limits);
    const refused = charged.charge(from(), key('a'), { cost: 'prediction', units: 80 });
    expect((await refused)?.budget.kind).toBe('prediction');
    await expect(charged.charge(from(), key('a'), { cost: 'prediction', units: 80 })).rejects.toMatchObject({
      code: 'rate_limited',
      message: expect.stringContaining('budget of "prediction"'),
    });
    expect(asked.every(({ partition }) => partition === 'key:a/prediction')).toBe(true);
    expect((await charged.charge(from(), key('a'), { cost: 'event', units: 80 }))?.budget.kind).toBe('key');
  });
});

describe('while the object does not answer', () => {
  it('requests are admitted at the rate of the limit, and none waits twice', async () => {
    let asked = 0;
    const charged = charging(async () => {
      asked += 1;
      throw new Error('Network connection lost.');
    });
    const charge = { cost: 'read', units: 100 } as const;
    let admitted = 0;
    const outcome = async () => {
      for (;;) {
        await charged.charge(from('192.0.2.1'), ANONYMOUS, charge);
        admitted += 1;
      }
    };
    await expect(outcome()).rejects.toMatchObject({ code: 'rate_limited', retryAfterS: 1 });
    // The credit of 200 units, then a second of 1,000 less its reserve of a fifth.
    expect(admitted).toBeGreaterThanOrEqual(10);
    expect(admitted).toBeLessThanOrEqual(13);
    expect(asked).toBeLessThanOrEqual(2);
  });
});
