import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entitiesOf, type FeedChange, isWanted } from '../../../../src/pipeline/feed/change.ts';
import { formatPosition, parsePosition, resetReason } from '../../../../src/pipeline/feed/position.ts';
import {
  type FeedPage,
  LIFE_MS,
  PIECE_CHARACTERS_MAX,
  QUESTIONS_MAX,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  streamFeed,
  WAIT_MS,
} from '../../../../src/pipeline/feed/stream.ts';

const EPOCH = '0e0e0e0e-0000-4000-8000-000000000001';
const change = (n: number, over: Partial<FeedChange> = {}): FeedChange => ({
  change: n,
  type: 'shop.purchase.v1',
  entities: ['product:85123A', 'customer:17850'],
  token: 'e.1',
  ...over,
});

describe('a change', () => {
  it('concerns only the rows that its tags name and the owners of its history', () => {
    const tags = [
      'product:85123A',
      'product/by-sku^8',
      'purchase@customer:17850',
      'purchase@product:85123A',
      'stranger:1',
      'product',
    ];
    expect(entitiesOf(tags, new Set(['product', 'customer']))).toEqual(['product:85123A', 'customer:17850']);
    expect(entitiesOf(['product:a:b@c'], new Set(['product']))).toEqual([]);
  });

  it('is selected by its type and by one or all of its entities', () => {
    const wants = (types: string[], entities: string[]) => isWanted({ types, entities }, change(1));
    expect(wants([], [])).toBe(true);
    expect(wants(['row', 'shop.purchase.v1'], [])).toBe(true);
    expect(wants(['row'], [])).toBe(false);
    expect(wants([], ['customer'])).toBe(true);
    expect(wants([], ['customer:17850'])).toBe(true);
    expect(wants([], ['customer:1785', 'cust', 'product:8'])).toBe(false);
    expect(wants(['row'], ['customer'])).toBe(false);
  });
});

describe('a position', () => {
  it('is parsed from its own text, and from no other', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.nat(), (epoch, seq) => {
        expect(parsePosition(formatPosition({ epoch, seq }))).toEqual({ epoch, seq });
      }),
    );
    for (const text of ['', 'x', `${EPOCH}.`, `${EPOCH}.-1`, `${EPOCH}.1 `, `${EPOCH}.1234567890123456`])
      expect(parsePosition(text)).toBeUndefined();
  });

  it('can be resumed while every change after it is kept', () => {
    const kept = { epoch: EPOCH, floor: 10, newest: 20 };
    const reason = (seq: number, epoch = EPOCH) => resetReason({ epoch, seq }, kept);
    expect([reason(10), reason(15), reason(20)]).toEqual([undefined, undefined, undefined]);
    expect([reason(9), reason(21), reason(15, 'other')]).toEqual([
      'too_old',
      'from_the_future',
      'log_was_made_anew',
    ]);
  });
});

describe('a stream', () => {
  const page = (seq: number, over: Partial<FeedPage> = {}): FeedPage => ({
    position: { epoch: EPOCH, seq },
    changes: [],
    pauseMs: 50,
    ...over,
  });
  const world = (pages: FeedPage[]) => {
    const told = { asked: [] as unknown[], slept: 0, left: 0, now: 0 };
    return {
      told,
      ports: {
        next: async (after: unknown, waitMs: number) => {
          told.asked.push([after, waitMs]);
          return pages.shift() ?? page(9);
        },
        sleep: async (ms: number) => {
          told.slept += ms;
          told.now += ms;
        },
        leave: () => {
          told.left += 1;
        },
        now: () => told.now,
        random: () => 0.25,
      },
    };
  };

  it('sends changes with their positions, and moves its position past unselected changes', async () => {
    const { ports, told } = world([page(7, { changes: [{ seq: 6, change: change(60) }] }), page(8)]);
    const text = streamFeed(page(5), ports);
    const read = async () => (await text.next()).value;
    expect(await read()).toBe(`retry: 3500\nid: ${EPOCH}.5\n\n`);
    expect(await read()).toBe(
      `id: ${EPOCH}.6\nevent: change\ndata: ${JSON.stringify(change(60))}\n\nid: ${EPOCH}.7\n\n`,
    );
    expect(await read()).toBe(`id: ${EPOCH}.8\n\n`);
    expect(told.asked).toEqual([
      [{ epoch: EPOCH, seq: 5 }, WAIT_MS],
      [{ epoch: EPOCH, seq: 7 }, WAIT_MS],
    ]);
    expect(told.slept).toBe(100);
  });

  it('sends a reset if changes may have been missed', async () => {
    const text = streamFeed(page(5, { reset: 'too_old' }), world([]).ports);
    expect((await text.next()).value).toContain('event: reset\ndata: {"reason":"too_old"}\n\n');
  });

  it('gives each client a delay of its own before it reconnects', async () => {
    const delays = await Promise.all(
      [0, 0.5, 0.999_999].map(async (random) => {
        const text = streamFeed(page(5), { ...world([]).ports, random: () => random });
        return Number(/^retry: (\d+)$/m.exec((await text.next()).value ?? '')?.[1]);
      }),
    );
    expect(delays).toEqual([RETRY_MS_MIN, (RETRY_MS_MIN + RETRY_MS_MAX) / 2, RETRY_MS_MAX - 1]);
  });

  it('cuts a page into pieces that a slow reader takes one by one, after whole events', async () => {
    const entities = [`product:${'x'.repeat(1_000)}`];
    const changes = Array.from({ length: 500 }, (_, n) => ({ seq: n, change: change(n, { entities }) }));
    const { ports, told } = world([page(500)]);
    const text = streamFeed(page(499, { changes }), ports);
    const pieces: string[] = [];
    for (let piece = await text.next(); told.asked.length === 0; piece = await text.next())
      pieces.push(piece.value ?? '');
    expect(pieces.length).toBeGreaterThan(7);
    for (const piece of pieces) {
      expect(piece.length).toBeLessThanOrEqual(PIECE_CHARACTERS_MAX);
      expect(piece.endsWith('\n\n')).toBe(true);
    }
    expect(pieces.join('').match(/^id: /gm)).toHaveLength(501);
  });

  it('asks for nothing more once its reader has gone', async () => {
    const { ports, told } = world([]);
    const text = streamFeed(page(5), ports);
    await text.next();
    await text.return(undefined);
    expect(told).toMatchObject({ asked: [], left: 1 });
  });

  it('makes no request before its reader takes more, and ends after its lifetime', async () => {
    const { ports, told } = world([]);
    const text = streamFeed(page(5), ports);
    await text.next();
    expect(told.asked).toEqual([]);
    told.now = LIFE_MS - 40;
    expect((await text.next()).done).toBe(false);
    expect(told.left).toBe(0);
    expect((await text.next()).done).toBe(true);
    expect(told.left).toBe(1);
  });

  it('stays within the subrequests of one request', async () => {
    const { ports, told } = world([]);
    for await (const _ of streamFeed(page(5, { pauseMs: 0 }), { ...ports, now: () => 0 }));
    expect(told.asked).toHaveLength(QUESTIONS_MAX - 1);
  });
});
