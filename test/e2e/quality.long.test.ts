import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gateVerdictOf, type QualityReport } from '../../src/operations/quality/report.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const PURCHASE = 'shop.purchase.v1';
/** Views are scored as their current version, whichever they were sent in. */
const VIEW = 'shop.product-view.v2';
const EARLIER_VIEW = 'shop.product-view.v1';
let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

const event = (id: string, over: object = {}, attributes: object = {}) => ({
  specversion: '1.0',
  id,
  source: '/quality',
  type: PURCHASE,
  time: new Date().toISOString(),
  data: {
    invoice: id,
    sku: '85123A',
    description: 'A heart',
    quantity: 6,
    unitPrice: 2.55,
    customerId: '17850',
    country: 'United Kingdom',
    ...over,
  },
  ...attributes,
});
async function send(events: unknown[], prefer?: string) {
  return await stack.caller.ask('POST', '/v1/events', {
    contentType: 'application/cloudevents-batch+json',
    headers: prefer === undefined ? {} : { prefer },
    body: JSON.stringify(events),
  });
}
const ask = (path: string) => stack.caller.ask('GET', path);
const report = async (query = '') => JSON.parse((await ask(`/v1/quality${query}`)).text) as QualityReport;
const eventsOf = ({ windows }: QualityReport, type: string) => windows['5m']?.types[type]?.events ?? 0;
const ruleOf = ({ windows }: QualityReport, type: string, rule: string) =>
  windows['5m']?.types[type]?.rules.find((one) => one.rule === rule);

describe('the quality of the data', () => {
  it('scores stored and refused events, each once', async () => {
    const good = Array.from({ length: 90 }, (_, n) => event(`good-${n}`));
    const odd = [
      event('no-customer', { customerId: null }),
      event('no-country', { country: 'Unspecified' }),
      event('postage', { sku: 'POST' }),
      event('late', {}, { time: new Date(Date.now() - 2 * 3_600_000).toISOString() }),
      event('history', {}, { time: '2026-01-01T00:00:00Z' }),
      // Another id, and the same line of the same invoice.
      event('again', { invoice: 'good-0' }),
    ];
    const bad = [
      event('negative', { quantity: -1 }),
      event('free', { unitPrice: 0 }),
      event('words', { quantity: 'six' }),
      event('unheard', {}, { type: 'shop.unheard-of.v1' }),
      event('conflict'),
    ];
    expect(await send([event('conflict', { quantity: 1 })], 'wait')).toMatchObject({ status: 201 });
    const all = [...good, ...odd, ...bad];
    // By the queue, once more by the queue, and once more while the request waits.
    await send(all);
    await send(all);
    await send(all, 'wait');
    // Answered 97 stored and 4 refused of the type, and one that is of none.
    const seen = await eventually(report, (answer) => eventsOf(answer, PURCHASE) >= 101);
    expect(eventsOf(await report(), PURCHASE)).toBe(101);
    const failed = (rule: string) => {
      const { judged = 0, failed: broken = 0 } = ruleOf(seen, PURCHASE, rule) ?? {};
      return `${broken} of ${judged}`;
    };
    expect(failed('contract_violation')).toBe('1 of 101');
    expect(failed('quantity_not_positive')).toBe('1 of 100');
    expect(failed('price_not_positive')).toBe('1 of 100');
    expect(failed('conflicting_duplicate')).toBe('1 of 100');
    expect(failed('customer_missing')).toBe('1 of 100');
    expect(failed('country_unspecified')).toBe('1 of 100');
    expect(failed('sku_of_no_product')).toBe('1 of 100');
    expect(failed('arrived_late')).toBe('1 of 99');
    expect(failed('line_sent_twice')).toBe('1 of 97');
    const { refused, dimensions, verdict, score } = seen.windows['5m']?.types[PURCHASE] ?? {};
    expect(refused).toBe(4);
    expect(verdict).toBe('passed');
    expect(score).toBe(Math.round((1 - 4 / 101) * 1e6) / 1e6);
    expect(dimensions?.timeliness).toMatchObject({ judged: 199, failed: 1 });
    expect(seen.windows['5m']?.types['(unrecognised)']).toMatchObject({ events: 1, refused: 1, score: 0 });
    expect(ruleOf(seen, PURCHASE, 'quantity_shifted')?.shift?.status).toBe('insufficient_data');
    // The unrecognised one pulls the score of all down, and is too few to fail by itself.
    expect(seen.gate).toMatchObject({ window: '24h', threshold: 0.95, verdict: 'passed' });
    expect(gateVerdictOf(seen.gate.evidence)).toBe(seen.gate.verdict);
  });

  it('asks the database for rules that depend on other rows', async () => {
    const view = (id: string, data: object) => ({ ...event(id, {}, { type: EARLIER_VIEW }), data });
    await send([event('known-product')], 'wait');
    const sent = await send(
      [
        view('seen', { sku: '85123A', customerId: '17850' }),
        view('stranger', { sku: '85123A', customerId: 'nobody' }),
        view('anonymous', { sku: 'NO-SUCH' }),
      ],
      'wait',
    );
    expect(sent.status).toBe(201);
    const seen = await eventually(report, (answer) => eventsOf(answer, VIEW) === 3);
    expect(ruleOf(seen, VIEW, 'product_unknown')).toMatchObject({ judged: 3, failed: 1 });
    expect(ruleOf(seen, VIEW, 'customer_unknown')).toMatchObject({ judged: 2, failed: 1 });
    expect(seen.windows['5m']?.types[VIEW]?.verdict).toBe('insufficient_data');
    const own = await report(`?type=${VIEW}&window=1h`);
    expect(Object.keys(own.windows)).toEqual(['1h']);
    expect(own.gate.verdict).toBe('insufficient_data');
    expect(Object.keys(own.gate.evidence.types)).toEqual([VIEW]);
  });

  it('fails its gate if many events are refused', async () => {
    await send(Array.from({ length: 30 }, (_, n) => event(`refused-${n}`, { quantity: 0 })));
    const seen = await eventually(report, (answer) => eventsOf(answer, PURCHASE) >= 132);
    expect(eventsOf(seen, PURCHASE)).toBe(132);
    expect(seen.gate.verdict).toBe('failed');
    expect(gateVerdictOf(seen.gate.evidence)).toBe('failed');
    const { text } = await ask('/metrics');
    expect(text).toContain('millrace_quality_gate_passed{window="24h"} 0\n');
    expect(text).toContain(
      `millrace_quality_checks_total{dimension="validity",result="failed",rule="quantity_not_positive",type="${PURCHASE}"} 31\n`,
    );
    expect(text).toMatch(
      /^millrace_quality_dimension_score\{dimension="completeness",type="shop.purchase.v1",window="1h"\} 0\.99/m,
    );
  });

  it('needs the key, and refuses unknown types and windows', async () => {
    expect((await stack.fetch('/v1/quality')).status).toBe(401);
    const wrong = await ask('/v1/quality?window=2h');
    expect(wrong.status).toBe(400);
    expect(wrong.json).toMatchObject({ code: 'invalid_request', pointer: 'window' });
    expect((await ask('/v1/quality?type=nothing')).status).toBe(400);
    const openapi = (await (await stack.fetch('/openapi.json')).json()) as { paths: Record<string, unknown> };
    expect(JSON.stringify(openapi.paths['/v1/quality'])).toContain('referenceValues');
  });
});

describe('a transaction that was committed and not counted', () => {
  it('is counted from the database, once, as of when it was stored', async () => {
    // As a worker leaves it that dies behind its commit.
    const batch = '11111111-1111-4111-8111-111111111111';
    const data = JSON.stringify(event('x').data);
    await stack.sql(
      `insert into millrace.events (source, id, type, data, occurred_at, batch)
       select '/lost', n::text, 'shop.return.v1', $1::jsonb, now(), $2::uuid from generate_series(1, 450) n`,
      [data, batch],
    );
    await stack.sql(
      `insert into millrace.quarantine (fingerprint, source, event_id, type, reason, pointer, detail, raw, batch)
       values ('f', '/lost', '0', 'shop.return.v1', 'quantity_not_positive', '', '', '{"data": {}}', $1)`,
      [batch],
    );
    await stack.sql(
      "insert into millrace.quality_pending (batch, recorded_at) values ($1, now() - interval '2 minutes')",
      [batch],
    );
    await stack.scheduled();
    const seen = await eventually(report, (answer) => eventsOf(answer, 'shop.return.v1') > 0);
    expect(eventsOf(seen, 'shop.return.v1')).toBe(451);
    expect(seen.windows['5m']?.types['shop.return.v1']?.refused).toBe(1);
    // These were no lines of a cancelled invoice.
    expect(ruleOf(seen, 'shop.return.v1', 'invoice_of_another_kind')).toMatchObject({ failed: 450 });
    await eventually(
      () => stack.sql('select 1 from millrace.quality_pending where batch = $1', [batch]),
      (rows) => rows.length === 0,
    );
    await stack.sql(
      "insert into millrace.quality_pending (batch, recorded_at) values ($1, now() - interval '2 minutes')",
      [batch],
    );
    await stack.scheduled();
    await eventually(
      () => stack.sql('select 1 from millrace.quality_pending where batch = $1', [batch]),
      (rows) => rows.length === 0,
    );
    expect(eventsOf(await report(), 'shop.return.v1')).toBe(451);
  });
});
