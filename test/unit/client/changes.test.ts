import { describe, expect, it } from 'vitest';
import {
  changes,
  createClient,
  type LiveEvent,
  ProblemError,
  UnreachableError,
} from '../../../src/client/index.ts';
import { SseParser } from '../../../src/client/sse.ts';
import { problem, type Script, scriptedServer } from './server.ts';

const change = (n: number) => ({ change: n, type: 'row', entities: [`product:${n}`], token: `e.${n}` });
const line = (n: number) => `id: log.${n}\nevent: change\ndata: ${JSON.stringify(change(n))}\n\n`;

function stream(...pieces: string[]): Script {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) response.write(piece);
    response.end();
  };
}
/** Sends the pieces and leaves the stream open, without another line. */
function open(...pieces: string[]): Script {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) response.write(piece);
  };
}

/** Waits pass at once, on a clock of their own, and are recorded; so does the silence of a connection. */
function systemOf({ silenceMs }: { silenceMs?: number } = {}) {
  const waits: number[] = [];
  let waited = 0;
  return {
    waits,
    system: {
      random: () => 0.5,
      now: () => performance.now() + waited,
      sleep: async (ms: number) => {
        waits.push(ms);
        waited += ms;
      },
      after: (ms: number, callback: () => void) => {
        const timer = setTimeout(callback, silenceMs ?? ms);
        return () => clearTimeout(timer);
      },
    },
  };
}

async function take(count: number, events: AsyncIterable<LiveEvent>): Promise<LiveEvent[]> {
  const taken: LiveEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

describe('changes', () => {
  it('yields each change, and reconnects after the last id, spread over the time that the server gives', async () => {
    await using server = await scriptedServer(
      stream(`retry: 8000\n${line(1)}`, `id: log.4\n\n`),
      problem(503, 'feed_unavailable', { 'retry-after': '5' }),
      stream(`id: log.9\nevent: reset\ndata: {"reason":"too_old"}\n\n${line(10)}`),
    );
    const { system, waits } = systemOf();
    const client = createClient({ url: server.url, key: 'k', system });
    const events = await take(3, changes(client, { types: ['row'], entities: ['product', 'rider:1'] }));
    expect(events).toEqual([
      { kind: 'change', id: 'log.1', change: change(1) },
      { kind: 'reset', id: 'log.9', reason: 'too_old' },
      { kind: 'change', id: 'log.10', change: change(10) },
    ]);
    expect(server.received.map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      'log.4',
      'log.4',
    ]);
    expect(server.received[0]?.url).toBe('/v1/changes?type=row&entity=product&entity=rider%3A1');
    expect(waits).toEqual([4_000, 5_250]);
  });

  it('reconnects when a connection is silent', async () => {
    await using server = await scriptedServer(open(line(1)), open(line(2)));
    const { system } = systemOf({ silenceMs: 50 });
    const events = await take(2, changes(createClient({ url: server.url, system }), { after: 'log.0' }));
    expect(events.map(({ id }) => id)).toEqual(['log.1', 'log.2']);
    expect(server.received.map(({ headers }) => headers['last-event-id'])).toEqual(['log.0', 'log.1']);
  });

  it('ends with the error of a feed that refuses, and of one that is away for too long', async () => {
    await using refusing = await scriptedServer(problem(400, 'invalid_request'));
    const refused = take(1, changes(createClient({ url: refusing.url, system: systemOf().system })));
    await expect(refused).rejects.toBeInstanceOf(ProblemError);
    await using away = await scriptedServer(stream(line(1)), (response) => response.destroy());
    const { system, waits } = systemOf();
    const lost = take(2, changes(createClient({ url: away.url, system }), { awayMsMax: 60_000 }));
    await expect(lost).rejects.toBeInstanceOf(UnreachableError);
    const sum = waits.reduce((total, wait) => total + wait, 0);
    expect(sum).toBeGreaterThan(30_000);
    expect(sum).toBeLessThanOrEqual(60_000);
  });

  it('closes its connection when the consumer stops, and ends with the reason of the signal', async () => {
    let closed = 0;
    const script: Script = (response, request) => {
      open(line(1))(response, request);
      response.on('close', () => (closed += 1));
    };
    await using server = await scriptedServer(script);
    const client = createClient({ url: server.url });
    await take(1, changes(client));
    await expect.poll(() => closed).toBe(1);
    const controller = new AbortController();
    const following = take(2, changes(client, { signal: controller.signal }));
    await expect.poll(() => server.received.length).toBe(2);
    controller.abort(new Error('left the page'));
    await expect(following).rejects.toThrow('left the page');
  });
});

describe('SseParser', () => {
  const parsed = (...pieces: string[]) => {
    const parser = new SseParser();
    return pieces.flatMap((piece) => [...parser.push(piece)]);
  };

  it('reads fields, comments, several data lines and every line end, however the text is cut', () => {
    const text = ': hello\r\nid: 7\r\nevent: change\r\ndata: a\r\ndata:b\r\n\r\nretry: 10\n\ndata\n\n';
    const expected = [
      { event: 'change', data: 'a\nb', id: '7', retryMs: undefined },
      { event: 'message', data: '', id: '7', retryMs: 10 },
      { event: 'message', data: '', id: '7', retryMs: 10 },
    ];
    expect(parsed(text)).toEqual(expected);
    expect(parsed(...text)).toEqual(expected);
    for (let at = 1; at < text.length; at += 1)
      expect(parsed(text.slice(0, at), text.slice(at))).toEqual(expected);
  });

  it('refuses an event without an end', () => {
    expect(() => parsed('x'.repeat(1_048_577))).toThrow('more than 1048576 characters');
  });
});
