import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { paths } from '../../src/client/index.ts';
import { gateTo, startCli } from '../support/node/cli.ts';
import { eventually, type Stack, startStack } from '../support/node/stack.ts';

const HISTORY = 400;
const LIVE_BATCHES = 12;
const BATCH = 25;

let stack: Stack;
let sent = 0;
beforeAll(async () => {
  stack = await startStack();
  for (let done = 0; done < HISTORY; done += 100) await send(100);
  await folded(HISTORY);
});
afterAll(() => stack[Symbol.asyncDispose]());

async function send(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => {
    sent += 1;
    const line = { invoice: `${sent}`, sku: `1000${sent % 7}`, quantity: 1, unitPrice: 1, country: 'UK' };
    return {
      specversion: '1.0',
      id: `${sent}`,
      source: '/replay',
      type: 'shop.purchase.v1',
      time: new Date().toISOString(),
      data: { ...line, customerId: `c${sent % 10}` },
    };
  });
  const { accepted, token } = await stack.caller.send(events, { wait: true });
  expect([accepted, token]).toEqual([events.length, expect.any(String)]);
}

async function purchases(): Promise<number> {
  const keys = Array.from({ length: 10 }, (_, n) => `c${n}`);
  const read = { entity: 'customer', keys };
  const { text } = await stack.caller.ask('POST', '/v1/features/read', { json: read });
  return [...text.matchAll(/"purchases_30d":\{"value":(\d+)/g)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

const folded = (count: number) =>
  eventually(
    () => purchases(),
    (total) => total === count,
    60_000,
  );

type Step = paths['/v1/admin/replay']['post']['requestBody']['content']['application/json'];

async function step(body: Step) {
  return (await stack.caller.client.post('/v1/admin/replay', { body })).data;
}

describe('a rebuild of the features', () => {
  it('counts events that arrive meanwhile once, and never shows readers less than before', async () => {
    const live = (async () => {
      for (let batch = 0; batch < LIVE_BATCHES; batch += 1) await send(BATCH);
    })();
    let page = await step({ rebuild: true, limit: 20 });
    let least = Number.POSITIVE_INFINITY;
    while (page.state !== 'done') {
      page = await step({ rebuild: true, limit: 20 });
      least = Math.min(least, await purchases());
    }
    await live;
    expect(least).toBeGreaterThanOrEqual(HISTORY);
    await folded(HISTORY + LIVE_BATCHES * BATCH);
    // With nothing under way what is built is what was online.
    page = await step({ rebuild: true, restart: true });
    while (page.state !== 'done') page = await step({ rebuild: true });
    expect(page.digests?.after.digest).toBe(page.digests?.before.digest);
    expect(page.replayed).toBe(sent);
    expect(await purchases()).toBe(sent);
  });

  it('continues after the command is killed', async () => {
    const { url, close } = await gateTo(stack);
    const killed = startCli(url, 'replay', '--rebuild', '--restart', '--rate', '50');
    const rows = () => stack.sql(`select replayed, total from millrace.replays where id = 'rebuild'`);
    await eventually(rows, ([row]) => Number(row?.['replayed']) >= 50 && Number(row?.['replayed']) < sent);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const { text } = await startCli(url, 'replay', '--rebuild').ended;
    close();
    expect(text).toContain('Resuming after');
    expect(text).toContain(`Replayed ${sent} of ${sent} events`);
    expect(text).toContain('They agree.');
    // Both rebuilds and the one that was killed and resumed have two entries each, whatever the number of their steps.
    const [audit] = await stack.sql(
      `select count(*) filter (where outcome = 'begun')::int as begun,
        count(*) filter (where outcome = 'done')::int as done
      from millrace.audit_log where action = 'history.replay'`,
    );
    expect(audit).toEqual({ begun: 3, done: 3 });
  });

  it('replays a part of the history through the queue, and does not change folded features', async () => {
    let page = await step({ from: '2026-01-01T00:00:00Z', types: ['shop.purchase.v1'], limit: 300 });
    while (page.state !== 'done') {
      page = await step({ from: '2026-01-01T00:00:00Z', types: ['shop.purchase.v1'], limit: 300 });
    }
    expect(page.replayed).toBe(sent);
    await send(1);
    await folded(sent);
  });

  it('refuses a partial rebuild, an unknown type, and a history that retention has cut', async () => {
    await expect(step({ rebuild: true, from: '2026-01-01T00:00:00Z' })).rejects.toMatchObject({
      code: 'unprocessable',
    });
    await expect(step({ types: ['nothing.v1'] })).rejects.toMatchObject({ code: 'unknown_event_type' });
    await stack.sql(
      `insert into millrace.pruned (target, rows, until) values ('events:shop.purchase.v1', 5, now())`,
    );
    await expect(step({ rebuild: true, restart: true })).rejects.toMatchObject({
      code: 'history_pruned',
      problem: { detail: expect.stringContaining('History is complete after') },
    });
    expect(await purchases()).toBe(sent);
  });
});
