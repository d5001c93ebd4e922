import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/platform/random.ts';
import { parseTraceparent } from '../../../../src/platform/tracing/context.ts';
import { RequestTrace, spanOf } from '../../../../src/platform/tracing/request-trace.ts';
import { Sampler, type SamplerName } from '../../../../src/platform/tracing/sampler.ts';
import { NO_SPAN, within } from '../../../../src/platform/tracing/span.ts';
import { type FinishedSpan, TRACE_SPANS_MAX } from '../../../../src/platform/tracing/trace.ts';
import { BATCH_TRACES_MAX, carried, inBatch, Tracing } from '../../../../src/platform/tracing/tracing.ts';

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7';
const ROUTE = { method: 'GET', route: '/v1/products/{sku}', status: 200 };

function setUp(name: SamplerName = 'parentbased_always_off') {
  const exported: FinishedSpan[] = [];
  const time = { nowMs: 1_000 };
  let lost = 0;
  const tracing = new Tracing({
    ...{ now: () => time.nowMs, random: seededRandom(3), sampler: new Sampler(name, 0.5), slowMs: 500 },
    queue: { add: (spans) => void exported.push(...spans) },
    lost: (spans) => {
      lost += spans;
    },
  });
  const begin = (traceparent?: string) => {
    const headers = new Headers(traceparent === undefined ? {} : { traceparent });
    const ctx = { waitUntil: () => undefined, passThroughOnException: () => undefined };
    return new RequestTrace(tracing, { request: { headers }, ctx, startedMs: time.nowMs });
  };
  return { tracing, exported, begin, time, lost: () => lost };
}

describe('a request', () => {
  it('goes on in the trace of its caller if that is sampled', async () => {
    const { begin, exported } = setUp();
    const request = begin(`${PARENT}-01`);
    await within(request.span, { name: 'inner', kind: 'client' }, async (span) => {
      expect(carried(span)).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[\da-f]{16}-01$/);
      span.set({ of: 'this' });
    });
    expect(exported).toEqual([]);
    expect(request.answered(ROUTE)).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736' });
    const [inner, outer] = exported;
    expect(inner).toMatchObject({
      name: 'inner',
      kind: 'client',
      attributes: { of: 'this' },
      isParentRemote: false,
    });
    expect(inner?.parent?.spanId).toBe(outer?.spanId);
    expect(outer).toMatchObject({ name: 'GET /v1/products/{sku}', kind: 'server', isParentRemote: true });
    expect(outer?.parent?.spanId).toBe('00f067aa0ba902b7');
  });

  it('that is not sampled leaves nothing, and carries nothing on', async () => {
    const { begin, exported } = setUp();
    const request = begin(`${PARENT}-00`);
    await within(request.span, { name: 'inner' }, async (span) => expect(carried(span)).toBeUndefined());
    expect(request.answered(ROUTE)).toBeUndefined();
    expect(exported).toEqual([]);
  });

  it('that fails or is slow is kept, with its spans, whatever the sampler says', async () => {
    const { begin, exported, time } = setUp();
    const failing = begin(`${PARENT}-00`);
    const failed = within(failing.span, { name: 'inner' }, async () => {
      throw Object.assign(new Error('of alice'), { code: 'database_unavailable' });
    });
    await expect(failed).rejects.toThrow();
    expect(failing.answered({ ...ROUTE, status: 503 })).toBeDefined();
    expect(exported.map(({ name, isFailed }) => [name, isFailed])).toEqual([
      ['inner', true],
      ['GET /v1/products/{sku}', true],
    ]);
    expect(exported.map(({ attributes }) => attributes['error.type'])).toEqual([
      'database_unavailable',
      '503',
    ]);
    expect(JSON.stringify(exported)).not.toContain('alice');
    const slow = begin();
    time.nowMs += 499;
    expect(slow.answered(ROUTE)).toBeUndefined();
    const slower = begin();
    time.nowMs += 500;
    expect(slower.answered(ROUTE)).toBeDefined();
  });

  it('has a trace of its own where there is no caller, or one that is not valid', () => {
    const { begin, exported } = setUp('always_on');
    begin().answered(ROUTE);
    begin('00-abc').answered(ROUTE);
    const ids = exported.map(({ traceId, parent }) => [traceId.length, parent]);
    expect(ids).toEqual([
      [32, undefined],
      [32, undefined],
    ]);
    expect(new Set(exported.map(({ traceId }) => traceId)).size).toBe(2);
  });

  it('exports what ends after its answer, and at most so many spans before', async () => {
    const { begin, exported, lost } = setUp('always_on');
    const request = begin();
    const late = request.span.child({ name: 'late' });
    for (let spans = 0; spans < TRACE_SPANS_MAX + 5; spans += 1) request.span.child({ name: 'x' }).end();
    request.answered(ROUTE);
    expect(exported).toHaveLength(TRACE_SPANS_MAX);
    expect(lost()).toBe(6);
    late.end();
    late.end();
    expect(exported.filter(({ name }) => name === 'late')).toHaveLength(1);
  });

  it('is where its context is, and nowhere else', () => {
    const { begin } = setUp();
    const request = begin();
    expect(spanOf(request)).toBe(request.span);
    expect(spanOf({ waitUntil: () => undefined })).toBe(NO_SPAN);
  });
});

describe('a batch', () => {
  const contextOf = (at: number) =>
    `00-${String(at + 1).padStart(32, '0')}-${String(at + 1).padStart(16, '0')}-01`;

  it('goes on in each trace of its events, with one span of the work', async () => {
    const { tracing, exported } = setUp();
    const traces = [contextOf(0), undefined, contextOf(1), contextOf(0), `${PARENT}-00`];
    const next = await tracing.batch(
      { name: 'store' },
      traces,
      () => undefined,
      async (spans) => {
        spans.work.child({ name: 'statement' }).end();
        return traces.map((trace) => spans.next(trace));
      },
    );
    const stores = exported.filter(({ name }) => name === 'store');
    expect(stores.map(({ traceId }) => traceId).toSorted()).toEqual(
      [0, 1].map((at) => contextOf(at).slice(3, 35)),
    );
    const [work, other] = stores.toSorted((a, b) => (a.traceId < b.traceId ? -1 : 1));
    expect(work?.links.map(({ traceId }) => traceId)).toEqual([other?.traceId]);
    expect(other?.links.map(({ spanId }) => spanId)).toEqual([work?.spanId]);
    expect(exported.find(({ name }) => name === 'statement')?.parent?.spanId).toBe(work?.spanId);
    expect(parseTraceparent(next[0])?.spanId).toBe(work?.spanId);
    expect(next[3]).toBe(next[0]);
    expect(parseTraceparent(next[2])?.spanId).toBe(other?.spanId);
    expect([next[1], next[4]]).toEqual([undefined, `${PARENT}-00`]);
  });

  it('gives a bounded number of traces a span, and the others their contexts', async () => {
    const { tracing, exported } = setUp();
    const traces = Array.from({ length: BATCH_TRACES_MAX + 3 }, (_, at) => contextOf(at));
    const next = await tracing.batch(
      { name: 'store' },
      traces,
      () => undefined,
      async (spans) => traces.map((trace) => spans.next(trace)),
    );
    expect(exported).toHaveLength(BATCH_TRACES_MAX);
    expect(next.slice(BATCH_TRACES_MAX)).toEqual(traces.slice(BATCH_TRACES_MAX));
  });

  it('of no recorded trace is kept if it fails', async () => {
    const { tracing, exported } = setUp();
    await tracing.batch(
      { name: 'quiet' },
      [],
      () => undefined,
      async () => undefined,
    );
    expect(exported).toEqual([]);
    const failing = tracing.batch(
      { name: 'failing' },
      [],
      () => undefined,
      async () => {
        throw new Error('no');
      },
    );
    await expect(failing).rejects.toThrow('no');
    expect(exported.map(({ name, isFailed }) => [name, isFailed])).toEqual([['failing', true]]);
  });

  it('leaves contexts as they are where nothing is traced', async () => {
    const next = await inBatch(
      undefined,
      { name: 'x' },
      [contextOf(0)],
      () => undefined,
      async (spans) => [spans.next(contextOf(0)), spans.work.isRecording],
    );
    expect(next).toEqual([contextOf(0), false]);
  });
});
