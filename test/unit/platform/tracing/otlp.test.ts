import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { otlpSender, PROTOCOLS, type Protocol } from '../../../../src/platform/tracing/otlp.ts';
import type { FinishedSpan } from '../../../../src/platform/tracing/trace.ts';
import { attributeOf, type OtlpReceiver, startReceiver } from '../../../support/node/otlp-receiver.ts';

const context = (digit: string) => ({
  traceId: digit.repeat(32),
  spanId: digit.repeat(16),
  isSampled: true,
});
const SPAN: FinishedSpan = {
  ...{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parent: context('c'), isParentRemote: true },
  ...{ name: 'GET /v1/products/{sku}', kind: 'server', links: [context('d')], isFailed: true },
  attributes: { 'http.response.status_code': 503, share: 0.5, isHit: false, absent: undefined, text: 'é"' },
  ...{ startMs: 1_796_000_000_123, endMs: 1_796_000_000_456.5 },
};

let receiver: OtlpReceiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
});
beforeEach(() => {
  receiver.mode = 'take';
});

const sending = (protocol: Protocol, deadlineMs = 10_000) =>
  otlpSender({
    ...{ endpoint: `${receiver.endpoint}/`, headers: { 'x-key': 'secret' }, protocol, deadlineMs },
    resource: { 'service.name': 'shop' },
  });

describe.each(PROTOCOLS)('an export as %s', (protocol) => {
  it('has the span as it was recorded', async () => {
    const before = receiver.spans.length;
    expect(await sending(protocol)([SPAN])).toEqual({ outcome: 'taken', refused: 0 });
    expect(receiver.headers['x-key']).toBe('secret');
    const [span] = receiver.spans.slice(before);
    if (span === undefined) throw new Error('No span has arrived.');
    expect(span).toMatchObject({
      ...{
        traceId: SPAN.traceId,
        spanId: SPAN.spanId,
        parentSpanId: 'c'.repeat(16),
        name: SPAN.name,
        kind: 2,
      },
      ...{ startTimeUnixNano: '1796000000123000000', endTimeUnixNano: '1796000000456500000' },
      ...{ links: [{ traceId: 'd'.repeat(32), spanId: 'd'.repeat(16) }], status: { code: 2 } },
    });
    const attributes = ['http.response.status_code', 'share', 'isHit', 'absent', 'text'];
    expect(attributes.map((name) => attributeOf(span, name))).toEqual([
      '503',
      '0.5',
      'false',
      undefined,
      'é"',
    ]);
  });

  it('tells what the receiver made of it, and ends within its deadline', async () => {
    receiver.mode = 'busy';
    expect(await sending(protocol)([SPAN])).toEqual({ outcome: 'unavailable' });
    receiver.mode = 'refuse';
    expect(await sending(protocol)([SPAN])).toEqual({ outcome: 'refused' });
    receiver.mode = 'hang';
    expect(await sending(protocol, 300)([SPAN])).toEqual({ outcome: 'unavailable' });
  });
});

it('an export to an address where nobody listens does not throw', async () => {
  const send = otlpSender({
    ...{
      endpoint: 'http://127.0.0.1:9',
      headers: {},
      protocol: 'http/json',
      deadlineMs: 300,
      resource: {},
    },
  });
  expect(await send([SPAN])).toEqual({ outcome: 'unavailable' });
});
